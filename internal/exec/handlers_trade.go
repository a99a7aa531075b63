package exec

import (
	"aval/internal/native/credit"
	"aval/internal/native/evidence"
	"aval/internal/native/finance"
	"aval/internal/native/voucher"
	"aval/ledger"
)

// tradeHandlers returns the handlers of evidence, credit, vouchers and finance.
func tradeHandlers() map[ledger.Kind]handler {
	return map[ledger.Kind]handler{
		ledger.KindLimitGrant:       on(credit.LimitGrant),
		ledger.KindEvidenceRegister: on(evidence.EvidenceRegister),
		ledger.KindEvidenceConfirm:  on(evidence.EvidenceConfirm),

		ledger.KindVoucherIssue:  on(voucher.VoucherIssue),
		ledger.KindVoucherAccept: on(voucher.VoucherAccept),
		ledger.KindVoucherReject: on(voucher.VoucherReject),
		ledger.KindVoucherExpire: on(voucher.VoucherExpire),
		ledger.KindVoucherCancel: on(voucher.VoucherCancel),
		ledger.KindVoucherOffer:  on(voucher.VoucherOffer),
		ledger.KindOfferAccept:   on(voucher.OfferAccept),
		ledger.KindOfferReject:   on(voucher.OfferReject),
		ledger.KindOfferExpire:   on(voucher.OfferExpire),
		ledger.KindOfferWithdraw: on(voucher.OfferWithdraw),
		ledger.KindPledgeCreate:  on(voucher.PledgeCreate),
		ledger.KindPledgeRecord:  on(voucher.PledgeRecord),
		ledger.KindPledgeRelease: on(voucher.PledgeRelease),
		ledger.KindLotFreeze:     on(voucher.LotFreeze),
		ledger.KindLotUnfreeze:   on(voucher.LotUnfreeze),
		ledger.KindVoucherFund:   on(voucher.VoucherFund),
		ledger.KindDayFund:       on(voucher.DayFund),

		ledger.KindFinanceRequest:  on(finance.FinanceRequest),
		ledger.KindFinanceWithdraw: on(finance.FinanceWithdraw),
		ledger.KindFinanceQuote:    on(finance.FinanceQuote),
		ledger.KindFinanceAccept:   on(finance.FinanceAccept),
		ledger.KindFinanceApprove:  on(finance.FinanceApprove),
		ledger.KindFinanceRegister: on(finance.FinanceRegister),
		ledger.KindFinanceDisburse: on(finance.FinanceDisburse),
		ledger.KindFinanceExpire:   on(finance.FinanceExpire),
	}
}
