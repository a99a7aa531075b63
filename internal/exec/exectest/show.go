package exectest

import (
	"encoding"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// print writes a record as field=value, leaving out what is zero.
func (w *World) print(v reflect.Value) string {
	var sb strings.Builder
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if f := v.Field(i); !f.IsZero() && !(f.Kind() == reflect.Slice && f.Len() == 0) {
			fmt.Fprintf(&sb, " %s=%s", name, w.word(f))
		}
	}
	return strings.TrimPrefix(sb.String(), " ")
}

// word writes one value as value.go reads it.
func (w *World) word(v reflect.Value) string {
	switch p := v.Interface().(type) {
	case ledger.Fen:
		return p.String()
	case ledger.Time:
		return strings.TrimSuffix(strings.TrimSuffix(p.String(), "+08:00"), ".000")
	case ledger.PartyID:
		if name, ok := w.names[string(p)]; ok {
			return name
		}
		return strconv.Quote(string(p))
	case suite.Signature:
		return "<signature>"
	case ledger.Op:
		return p.Kind.String() + " " + w.word(reflect.ValueOf(p.Party))
	case fmt.Stringer:
		return w.Redact(p.String())
	case encoding.TextMarshaler:
		b, err := p.MarshalText()
		if err != nil {
			return err.Error()
		}
		return w.Redact(string(b))
	}
	if words := enums[v.Type()]; v.CanUint() && int(v.Uint()) < len(words) {
		return words[v.Uint()]
	}
	switch v.Kind() {
	case reflect.Pointer:
		return w.word(v.Elem())
	case reflect.Struct:
		return "{" + w.print(v) + "}"
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = w.word(v.Index(i))
		}
		return "[" + strings.Join(items, " ") + "]"
	case reflect.String:
		if s := w.Redact(v.String()); strings.ContainsAny(s, " []{}=") || s == "" {
			return strconv.Quote(s)
		}
		return w.Redact(v.String())
	default:
		return fmt.Sprint(v.Interface())
	}
}

// record reads and prints one record.
func record[T any](w *World, key []byte) string {
	value, ok := w.State[string(key)]
	if !ok {
		return "none\n"
	}
	var rec T
	if err := codec.Unmarshal(value, &rec); err != nil {
		return err.Error() + "\n"
	}
	return w.print(reflect.ValueOf(&rec).Elem()) + "\n"
}

// list prints the items of a list, each by the given function.
func (w *World) list(name ledger.ListName, item func(b []byte) string) string {
	j := w.Journal()
	var sb strings.Builder
	for i := range vm.Count(j, name) {
		sb.WriteString(item(vm.Item(j, name, i)))
	}
	if sb.Len() == 0 {
		return "none\n"
	}
	return sb.String()
}

// show prints what the words name.
func (w *World) show(words []string) (string, error) {
	r := &shower{w: w, words: words[1:]}
	show, ok := shows[words[0]]
	if !ok {
		known := make([]string, 0, len(shows))
		for name := range shows {
			known = append(known, name)
		}
		sort.Strings(known)
		return "", fmt.Errorf("show knows %s, not %q", strings.Join(known, ", "), words[0])
	}
	out := show(w, r)
	return out, r.err
}

// shower reads the arguments of show.
type shower struct {
	w     *World
	words []string
	err   error
}

func read[T any](r *shower) T {
	var out T
	if len(r.words) == 0 {
		r.err = fmt.Errorf("an argument of type %T is missing", out)
		return out
	}
	if err := r.w.scalar(r.words[0], reflect.ValueOf(&out).Elem()); err != nil {
		r.err = err
	}
	r.words = r.words[1:]
	return out
}

// shows are the records that a transcript can ask for.
var shows = map[string]func(*World, *shower) string{
	"party": func(w *World, r *shower) string {
		return record[ledger.Party](w, ledger.PartyKey(read[ledger.PartyID](r)))
	},
	"member": func(w *World, r *shower) string {
		return record[ledger.Member](w, ledger.MemberKey(read[suite.PublicKey](r)))
	},
	"scope": func(w *World, r *shower) string {
		return record[ledger.ScopeRecord](w, ledger.ScopeKey(read[ledger.Scope](r)))
	},
	"supply": func(w *World, r *shower) string {
		return record[ledger.Supply](w, ledger.SupplyKey(read[ledger.PartyID](r)))
	},
	"account": func(w *World, r *shower) string {
		return record[ledger.Account](w, ledger.AccountKey(read[ledger.PartyID](r), read[ledger.PartyID](r)))
	},
	"accounts": func(w *World, r *shower) string {
		p := read[ledger.PartyID](r)
		return w.list(ledger.AccountsOf(p), func(b []byte) string {
			return record[ledger.Account](w, ledger.AccountKey(ledger.PartyID(b), p))
		})
	},
	"hold": func(w *World, r *shower) string { return record[ledger.Hold](w, ledger.HoldKey(read[suite.Hash](r))) },
	"mandate": func(w *World, r *shower) string {
		return record[ledger.Mandate](w, ledger.MandateKey(read[ledger.PartyID](r), read[ledger.PartyID](r)))
	},
	"limit": func(w *World, r *shower) string {
		return record[ledger.Limit](w, ledger.LimitKey(read[ledger.PartyID](r), read[ledger.PartyID](r), read[ledger.LimitPurpose](r)))
	},
	"invoice": func(w *World, r *shower) string {
		return record[ledger.Invoice](w, ledger.InvoiceKey(read[suite.Hash](r)))
	},
	"voucher": func(w *World, r *shower) string {
		return record[ledger.Voucher](w, ledger.VoucherKey(read[suite.Hash](r)))
	},
	"lot": func(w *World, r *shower) string {
		return record[ledger.Lot](w, ledger.LotKey(read[suite.Hash](r), read[ledger.Fen](r)))
	},
	"lots": showLots,
	"held": func(w *World, r *shower) string {
		return w.list(ledger.LotsOf(read[ledger.PartyID](r)), func(b []byte) string {
			var ref ledger.LotRef
			if err := codec.Unmarshal(b, &ref); err != nil {
				return err.Error() + "\n"
			}
			return record[ledger.Lot](w, ledger.LotKey(ref.Voucher, ref.From))
		})
	},
	"waiting": func(w *World, r *shower) string {
		return w.list(ledger.Incoming(read[ledger.PartyID](r)), items[ledger.Waiting](w))
	},
	"offer":     func(w *World, r *shower) string { return record[ledger.Offer](w, ledger.OfferKey(read[suite.Hash](r))) },
	"transfers": showTransfers,
	"order": func(w *World, r *shower) string {
		return record[ledger.Order](w, ledger.OrderKey(read[suite.Hash](r), read[suite.Hash](r)))
	},
	"request": func(w *World, r *shower) string {
		return record[ledger.Request](w, ledger.RequestKey(read[suite.Hash](r)))
	},
	"quote": func(w *World, r *shower) string {
		return record[ledger.Quote](w, ledger.QuoteKey(read[suite.Hash](r), read[ledger.PartyID](r)))
	},
	"ladder": showLadder,
	"pool": func(w *World, r *shower) string {
		return record[ledger.DayPool](w, ledger.DayPoolKey(read[ledger.PartyID](r), read[ledger.PartyID](r), read[ledger.Date](r)))
	},
	"due": showDue,
	"proposal": func(w *World, r *shower) string {
		return record[ledger.Proposal](w, ledger.ProposalKey(read[suite.Hash](r)))
	},
	"clock": func(w *World, _ *shower) string {
		rec, _ := vm.Load[ledger.ClockRecord](w.Journal(), ledger.ClockKey())
		rec.Offset = w.Now()
		return strings.Replace(w.print(reflect.ValueOf(&rec).Elem()), "offset=", "now=", 1) + "\n"
	},
}

// items prints list items of one type.
func items[T any](w *World) func(b []byte) string {
	return func(b []byte) string {
		var item T
		if err := codec.Unmarshal(b, &item); err != nil {
			return err.Error() + "\n"
		}
		return w.print(reflect.ValueOf(&item).Elem()) + "\n"
	}
}

// showLots walks the chain of a voucher's lots.
func showLots(w *World, r *shower) string {
	id, j := read[suite.Hash](r), w.Journal()
	var sb strings.Builder
	for from := ledger.Fen(0); ; {
		lot, ok := vm.Load[ledger.Lot](j, ledger.LotKey(id, from))
		if !ok {
			break
		}
		lot.Voucher = suite.Hash{}
		fmt.Fprintf(&sb, "[%s, %s) %s\n", lot.From, lot.To, w.print(reflect.ValueOf(&lot).Elem()))
		from = lot.To
	}
	return sb.String()
}

func showTransfers(w *World, r *shower) string {
	id, j := read[suite.Hash](r), w.Journal()
	var sb strings.Builder
	for n := uint32(0); ; n++ {
		t, ok := vm.Load[ledger.Transfer](j, ledger.TransferKey(id, n))
		if !ok {
			break
		}
		t.Voucher = suite.Hash{}
		fmt.Fprintln(&sb, w.print(reflect.ValueOf(&t).Elem()))
	}
	return sb.String()
}

// showLadder prints what an issuer owes by settlement day.
func showLadder(w *World, r *shower) string {
	issuer := read[ledger.PartyID](r)
	days, _ := vm.Load[ledger.Days](w.Journal(), ledger.LadderDaysKey(issuer))
	var sb strings.Builder
	for _, day := range days.Days {
		sb.WriteString(day.String() + " " + record[ledger.LadderDay](w, ledger.LadderKey(issuer, day)))
	}
	if sb.Len() == 0 {
		return "none\n"
	}
	return sb.String()
}

// showDue prints the days on which due-date work waits, with what waits.
func showDue(w *World, _ *shower) string {
	days, _ := vm.Load[ledger.Days](w.Journal(), ledger.DueDaysKey())
	var sb strings.Builder
	for _, day := range days.Days {
		sb.WriteString(day.String() + "\n" + w.list(ledger.DueOn(day), func(b []byte) string { return "  " + items[ledger.DueItem](w)(b) }))
	}
	if sb.Len() == 0 {
		return "none\n"
	}
	return sb.String()
}
