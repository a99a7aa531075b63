package demo

import (
	"fmt"
	"strings"

	"aval/ledger"
)

// organisation is one party of a cast. All are fictional: region 990000 does not exist.
type organisation struct {
	// alias names the party's keys and stands for it on the command line.
	alias string
	name  string
	// kind is the first two characters of its code: 11 a public body, 91 a company; org the eight of its own.
	kind, org string
	scope     ledger.Scope
	roles     ledger.Role
	size      ledger.Size
	// tier is its place in the chain, 0 for none.
	tier int
	// bank is the alias of the bank whose money it holds, "" for none.
	bank string
}

const (
	scopeRoot   ledger.Scope = "/"
	scopeSector ledger.Scope = "/auto"
	scopeChain  ledger.Scope = "/auto/huachen"
)

// The aliases of the demo's cast.
const (
	authority = "authority"
	huachen   = "huachen"
	dongjiang = "dongjiang"
	linhai    = "linhai"
	hengtong  = "hengtong"
	ruida     = "ruida"
	hengxin   = "hengxin"
	yongcheng = "yongcheng"
	jingwei   = "jingwei"
	baoli     = "baoli"
	lanxi     = "lanxi"
	regulator = "regulator"
	court     = "court"
	operator  = "operator"
)

// demoCast is everybody in the demo case. Tiers 1 and 2 hold money of Dongjiang, tiers 3 and 4 and the factor that of Linhai.
var demoCast = []organisation{
	{authority, "Supply Chain Ledger Authority", "11", "DEMA0001", scopeRoot, ledger.RoleAuthority, ledger.SizeLarge, 0, ""},
	{huachen, "Huachen Auto", "91", "DEMA0002", scopeSector, ledger.RoleCore | ledger.RoleAuthority, ledger.SizeLarge, 0, dongjiang},
	{dongjiang, "Dongjiang Bank", "91", "DEMA0003", scopeRoot, ledger.RoleBank, ledger.SizeLarge, 0, ""},
	{linhai, "Linhai Bank", "91", "DEMA0004", scopeRoot, ledger.RoleBank, ledger.SizeLarge, 0, ""},
	{hengtong, "Hengtong Factoring", "91", "DEMA0005", scopeRoot, ledger.RoleFactor, ledger.SizeMedium, 0, linhai},
	{regulator, "Regulator", "11", "DEMA0006", scopeRoot, ledger.RoleRegulator, ledger.SizeLarge, 0, ""},
	{court, "Donghai Court", "11", "DEMA0007", scopeRoot, ledger.RoleCourt, ledger.SizeLarge, 0, ""},
	{operator, "Ledger Operator", "91", "DEMA0008", scopeRoot, ledger.RoleOperator, ledger.SizeMedium, 0, ""},
	{ruida, "Ruida E-Drive", "91", "DEMA0009", scopeChain, ledger.RoleSupplier, ledger.SizeLarge, 1, dongjiang},
	{hengxin, "Hengxin Inverter", "91", "DEMA0010", scopeChain, ledger.RoleSupplier, ledger.SizeMedium, 2, dongjiang},
	{yongcheng, "Yongcheng Casting", "91", "DEMA0011", scopeChain, ledger.RoleSupplier, ledger.SizeSmall, 2, dongjiang},
	{jingwei, "Jingwei IGBT", "91", "DEMA0012", scopeChain, ledger.RoleSupplier, ledger.SizeSmall, 3, linhai},
	{baoli, "Baoli Copper", "91", "DEMA0013", scopeChain, ledger.RoleSupplier, ledger.SizeSmall, 3, linhai},
	{lanxi, "Lanxi Substrate", "91", "DEMA0014", scopeChain, ledger.RoleSupplier, ledger.SizeMicro, 4, linhai},
}

// devCast is the sandbox: enough to issue, accept, split and finance.
var devCast = []organisation{
	{authority, "Sandbox Authority", "11", "TRYA0001", scopeRoot, ledger.RoleAuthority, ledger.SizeLarge, 0, ""},
	{"bank", "Sandbox Bank", "91", "TRYA0002", scopeRoot, ledger.RoleBank, ledger.SizeLarge, 0, ""},
	{"core", "Sandbox Motors", "91", "TRYA0003", scopeRoot, ledger.RoleCore, ledger.SizeLarge, 0, "bank"},
	{"supplier1", "Sandbox Drives", "91", "TRYA0004", scopeRoot, ledger.RoleSupplier, ledger.SizeMedium, 1, "bank"},
	{"supplier2", "Sandbox Castings", "91", "TRYA0005", scopeRoot, ledger.RoleSupplier, ledger.SizeSmall, 2, "bank"},
	{"factor", "Sandbox Factoring", "91", "TRYA0006", scopeRoot, ledger.RoleFactor, ledger.SizeMedium, 0, "bank"},
}

// fictionalRegion is no region of GB/T 2260.
const fictionalRegion = "990000"

// id returns the organisation's unified social credit code with both of its check characters right.
func (o *organisation) id() (ledger.PartyID, error) {
	check, err := orgCheck(o.org)
	if err != nil {
		return "", err
	}
	return ledger.CompleteUSCC(o.kind + fictionalRegion + o.org + check)
}

// orgCheck returns the check character of an organisation code (GB 11714-1997): weights 3, 7, 9, 10, 5, 8, 4, 2, modulo 11.
func orgCheck(org string) (string, error) {
	weights := [8]int{3, 7, 9, 10, 5, 8, 4, 2}
	if len(org) != len(weights) {
		return "", fmt.Errorf("organisation code %q has %d characters, not %d", org, len(org), len(weights))
	}
	sum := 0
	for i, w := range weights {
		v := strings.IndexByte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", org[i])
		if v < 0 {
			return "", fmt.Errorf("organisation code %q: character %q", org, org[i])
		}
		sum += v * w
	}
	switch c := 11 - sum%11; c {
	case 10:
		return "X", nil
	case 11:
		return "0", nil
	default:
		return fmt.Sprint(c), nil
	}
}
