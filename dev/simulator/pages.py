"""The hosted page: pay, decline, retry or walk away. Plain forms; it plays a third party and says so."""

from decimal import Decimal
from html import escape

from dev.simulator.reply import HTML, Refused, Reply
from dev.simulator.rows import EXPIRED, FAILED, PAID, Checkout, Merchant
from dev.simulator.till import Closed, Till

STYLE = """
:root{color-scheme:light dark;--ground:#eef0f4;--card:#fff;--ink:#16181d;--soft:#545b68;--line:#8b93a1;
--act:#1b4fd1;--on-act:#fff;--bad:#a3161b;--good:#12652f;--note:#fff3cf;--note-ink:#4a3500}
@media (prefers-color-scheme:dark){:root{--ground:#14161b;--card:#1f232b;--ink:#f1f3f7;--soft:#b5bcc9;--line:#7b8494;
--act:#9db9ff;--on-act:#0b1733;--bad:#ffb0ad;--good:#8fe0a9;--note:#453a12;--note-ink:#ffeab0}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
header{background:var(--note);color:var(--note-ink);text-align:center;padding:.6rem 1rem;font-weight:600}
main{max-width:27rem;margin:2rem auto;padding:1.5rem;background:var(--card);border-radius:.75rem}
@media (max-width:30rem){main{margin:0;border-radius:0}}
h1{font-size:1.25rem;margin:0 0 1rem}
.amount{font-size:2.25rem;font-weight:700;margin:0;font-variant-numeric:tabular-nums}
dl{margin:1rem 0;border-top:1px solid var(--line);padding-top:1rem}
dt{color:var(--soft);font-size:.875rem}dd{margin:0 0 .75rem;overflow-wrap:anywhere}
form{margin:0}
button,a.button{display:block;width:100%;min-height:2.9rem;margin-top:.75rem;padding:.65rem 1rem;border-radius:.5rem;
border:1px solid var(--line);background:transparent;color:inherit;font:inherit;font-weight:600;text-align:center;
text-decoration:none;cursor:pointer}
button.first,a.first{background:var(--act);color:var(--on-act);border-color:var(--act)}
:focus-visible{outline:3px solid var(--act);outline-offset:3px}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}
footer{max-width:27rem;margin:0 auto 2rem;padding:0 1.5rem;color:var(--soft);font-size:.875rem}
"""
SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class Pages:
    """The pages of one till. `merchants` by code."""

    def __init__(self, till: Till, merchants: dict[str, Merchant]) -> None:
        self.till = till
        self.merchants = merchants

    def show(self, checkout_id: str) -> Reply:
        """The page as the checkout stands."""
        try:
            checkout = self.till.find(checkout_id)
        except Refused:
            return _page(404, "Payment not found", "<p>There is no such payment. Check the address.</p>")
        facts = self._facts(checkout)
        if checkout.status == PAID:
            back = escape(checkout.redirect_url)
            link = f'<a class="button first" href="{back}">Back to merchant website</a>' if back else ""
            return _page(200, "Payment successful", f'<p class="good">Your payment was successful.</p>{facts}{link}')
        if checkout.status == EXPIRED or self.till.session_over(checkout):
            words = "<p>This payment page has expired. Nothing was charged. Go back to the shop to start again.</p>"
            return _page(200, "Payment expired", words + facts)
        declined = checkout.status == FAILED
        reason = escape(checkout.reason)
        alert = f'<p class="bad" role="alert">Payment failed. {reason} You can try again.</p>' if declined else ""
        address = f"/pay/{checkout.id}"
        forms = (
            f'<form method="post" action="{address}">'
            f'<button class="first" name="act" value="pay">{"Try again and pay" if declined else "Pay"}</button>'
            '<button name="act" value="decline">Decline</button></form>'
            f'<a class="button" href="{address}/left">Leave</a>'
        )
        return _page(200, "Payment failed" if declined else "Pay with card", alert + facts + forms)

    def act(self, checkout_id: str, act: str) -> Reply:
        """A pressed button; whatever comes of it, the page then says how things stand."""
        try:
            checkout = self.till.find(checkout_id)
            if not self.till.session_over(checkout):
                self.till.pay(checkout_id) if act == "pay" else self.till.decline(checkout_id)
        except Closed:
            pass  # paid or expired in another tab
        except Refused:
            return self.show(checkout_id)
        return Reply(303, b"", HTML, {"Location": f"/pay/{checkout_id}"})

    def left(self, checkout_id: str) -> Reply:
        """Where Leave leads: nobody is told, as at SumUp."""
        words = (
            "<p>You left the payment page. Nothing was charged, and the shop was not told. You may close this tab.</p>"
        )
        link = f'<a class="button" href="/pay/{escape(checkout_id)}">Back to the payment</a>'
        return _page(200, "You left the payment", words + link)

    def _facts(self, checkout: Checkout) -> str:
        merchant = self.merchants.get(checkout.merchant_code)
        name = merchant.name if merchant else checkout.merchant_code
        amount = f"{Decimal(checkout.amount):.2f}"
        return (
            f'<p class="amount">{amount} {escape(checkout.currency)}</p><dl><dt>To</dt><dd>{escape(name)}</dd>'
            f"<dt>For</dt><dd>{escape(checkout.description) or '–'}</dd></dl>"
        )


def _page(status: int, title: str, content: str) -> Reply:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} – SumUp simulator</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body><header>SumUp simulator – no real money</header>"
        f"<main><h1>{title}</h1>{content}</main>"
        "<footer>This page stands in for SumUp’s payment page. No card is asked for and none is charged.</footer>"
        "</body></html>"
    )
    return Reply(status, text.encode(), HTML, dict(SAFE))
