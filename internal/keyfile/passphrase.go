package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// EnvPassphrase names the environment variable from which a passphrase is taken.
const EnvPassphrase = "AVAL_PASSPHRASE"

// passphraseBytesMax bounds a passphrase.
const passphraseBytesMax = 1024

// Source says where a passphrase comes from: the file if one is named, else the environment, else the terminal.
type Source struct {
	// File is a path, "" for none. One newline at its end does not count.
	File string
	// Env reads the environment; nil means os.LookupEnv.
	Env func(string) (string, bool)
	// Terminal is where to ask, nil for nowhere. Prompts go to Prompts.
	Terminal *os.File
	Prompts  io.Writer
}

// Get returns the passphrase; what says to the person at the terminal whose it is.
func (s Source) Get(what string) ([]byte, error) { return s.get(what, false) }

// GetNew returns a passphrase for a new key; a person at the terminal types it twice.
func (s Source) GetNew(what string) ([]byte, error) { return s.get(what, true) }

func (s Source) get(what string, twice bool) ([]byte, error) {
	if s.File != "" {
		return readPassphrase(s.File)
	}
	env := s.Env
	if env == nil {
		env = os.LookupEnv
	}
	if v, ok := env(EnvPassphrase); ok {
		return checkPassphrase([]byte(v), "$"+EnvPassphrase)
	}
	if s.Terminal == nil || !term.IsTerminal(int(s.Terminal.Fd())) {
		return nil, fmt.Errorf("a passphrase is needed for %s: set $%s, give --passphrase-file, or run at a terminal", what, EnvPassphrase)
	}
	first, err := s.ask("Passphrase for " + what + ": ")
	if err != nil || !twice {
		return first, err
	}
	second, err := s.ask("Once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errors.New("the two passphrases differ")
	}
	return first, nil
}

func (s Source) ask(prompt string) ([]byte, error) {
	if _, err := io.WriteString(s.Prompts, prompt); err != nil {
		return nil, err
	}
	b, err := term.ReadPassword(int(s.Terminal.Fd()))
	if _, werr := io.WriteString(s.Prompts, "\n"); err == nil {
		err = werr
	}
	if err != nil {
		return nil, err
	}
	return checkPassphrase(b, "what was typed")
}

func readPassphrase(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("passphrase file: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, passphraseBytesMax+3))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("passphrase file: %w", err)
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	return checkPassphrase(bytes.TrimSuffix(b, []byte("\r")), path)
}

func checkPassphrase(b []byte, from string) ([]byte, error) {
	if len(b) == 0 || len(b) > passphraseBytesMax {
		return nil, fmt.Errorf("the passphrase (%s) must have 1 to %d bytes", from, passphraseBytesMax)
	}
	return b, nil
}
