package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"aval/api"
	"aval/ledger"
	"aval/suite"
)

// What stands for the numbers of the ledger's small types.
var (
	proceedsNames  = map[ledger.Proceeds]string{ledger.ProceedsPledgee: "to the pledgee", ledger.ProceedsDeposit: "held as a deposit"}
	dischargeNames = map[ledger.Discharge]string{ledger.DischargeAtTransfer: "at transfer", ledger.DischargeAtPayment: "at payment"}
	purposeNames   = map[ledger.LimitPurpose]string{ledger.LimitIssue: "issue", ledger.LimitFinance: "finance"}
)

// showOperations prints what a transaction would do, so that whoever is to sign it can read it: amounts in yuan, times at UTC+8,
// parties with their short names.
func (s *session) showOperations(o *output, ops []api.Operation) {
	names := s.names()
	for i := range ops {
		o.line("%3d. %s as %s", i, ops[i].Kind, s.partyName(ops[i].Party))
		var sb strings.Builder
		plainFields(&sb, "     ", reflect.Indirect(reflect.ValueOf(ops[i].Body)))
		o.b.WriteString(names.Replace(sb.String()))
	}
}

// typed gives the bodies of an answer, which are plain JSON, the types of their kinds back.
func typed(ops []api.Operation) ([]api.Operation, error) {
	out := make([]api.Operation, len(ops))
	for i, op := range ops {
		info, ok := op.Kind.Info()
		if !ok {
			return nil, fmt.Errorf("operation %d is of kind %d, which this version does not know", i, op.Kind)
		}
		text, err := json.Marshal(op.Body)
		if err != nil {
			return nil, err
		}
		op.Body = info.New()
		if err := json.Unmarshal(text, op.Body); err != nil {
			return nil, fmt.Errorf("operation %d does not read as %s: %w", i, info.Name, err)
		}
		out[i] = op
	}
	return out, nil
}

// plainFields writes the fields of a struct, one a line. What is empty is left out.
func plainFields(sb *strings.Builder, indent string, v reflect.Value) {
	width := 0
	for i := range v.NumField() {
		width = max(width, len(label(v.Type().Field(i))))
	}
	for i := range v.NumField() {
		f, name := v.Field(i), label(v.Type().Field(i))
		switch text, leaf := plainValue(name, f); {
		case leaf && text != "":
			fmt.Fprintf(sb, "%s%-*s  %s\n", indent, width, name, text)
		case leaf:
		case f.Kind() == reflect.Slice:
			for j := range f.Len() {
				plainItem(sb, indent, name, width, f.Index(j))
			}
		default:
			plainItem(sb, indent, name, width, f)
		}
	}
}

// plainItem writes one value of a list, or a struct within a struct.
func plainItem(sb *strings.Builder, indent, name string, width int, v reflect.Value) {
	if op, ok := v.Interface().(ledger.Op); ok {
		fmt.Fprintf(sb, "%s%-*s  %s as %s\n", indent, width, name, op.Kind, op.Party)
		if body, err := op.Decode(); err == nil {
			plainFields(sb, indent+"    ", reflect.Indirect(reflect.ValueOf(body)))
		}
		return
	}
	if text, leaf := plainValue(name, v); leaf {
		fmt.Fprintf(sb, "%s%-*s  %s\n", indent, width, name, text)
		return
	}
	fmt.Fprintf(sb, "%s%s\n", indent, name)
	plainFields(sb, indent+"  ", reflect.Indirect(v))
}

// label is a field's name in JSON, in words.
func label(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return strings.ReplaceAll(strings.TrimSuffix(name, "_bps"), "_", " ")
}

// plainValue returns what a person reads for v, "" for nothing, and whether v is one value rather than several.
func plainValue(name string, v reflect.Value) (text string, leaf bool) {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return "", true
	}
	switch x := v.Interface().(type) {
	case ledger.Time:
		return when(x), true
	case suite.Hash:
		if x.IsZero() {
			return "", true
		}
		return x.String(), true
	case ledger.Proceeds:
		return proceedsNames[x], true
	case ledger.Discharge:
		return dischargeNames[x], true
	case ledger.LimitPurpose:
		return purposeNames[x], true
	case ledger.Size:
		if i := int(x) - 1; i >= 0 && i < len(sizeNames) {
			return sizeNames[i], true
		}
		return "", true
	case ledger.InvoiceScheme:
		return "", true
	case suite.Signature:
		return "", true
	case fmt.Stringer:
		return x.String(), true
	case bool:
		return yes(x), true
	case uint32:
		if name == "rate" {
			return percent(x), true
		}
	}
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Struct || v.Kind() == reflect.Pointer {
		return "", false
	}
	return fmt.Sprint(v.Interface()), true
}

// names replaces every legal id of the profile, every public key among the user's own, and every fingerprint of an invoice that
// was named by its number, by itself with the name behind it.
func (s *session) names() *strings.Replacer {
	var pairs []string
	add := func(id, name string) {
		if name != "" && name != id {
			pairs = append(pairs, id, id+" ("+name+")")
		}
	}
	if s.profile != nil {
		var ids []string
		for _, id := range s.profile.Parties {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			add(id, s.partyName(ledger.PartyID(id)))
		}
	}
	for key, name := range s.keyNames() {
		add(key, name)
	}
	for fingerprint, number := range s.invoices {
		add(fingerprint.String(), number)
	}
	return strings.NewReplacer(pairs...)
}
