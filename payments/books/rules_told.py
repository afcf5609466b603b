"""What SumUp told of payments, for the rules of the books: by the answers that are kept, as SQL."""

#: The payments that SumUp's kept answers show, each once an answer.
SHOWN = """(
    SELECT checkout.id AS checkout_id, checkout.merchant_id, shown ->> 'id' AS id, shown ->> 'transaction_code' AS code,
        CASE WHEN shown ->> 'amount' ~ '^[0-9]{1,15}([.][0-9]+)?$'
            THEN round((shown ->> 'amount')::numeric, 2) END AS amount
    FROM payments_checkout AS checkout CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(checkout.sumup_answer -> 'transactions') WHEN 'array'
            THEN checkout.sumup_answer -> 'transactions' ELSE '[]' END
    ) AS shown WHERE shown ->> 'status' = 'SUCCESSFUL')"""

#: By what each capture's transaction is known: its id, its code; and what the answer shows that a mismatch was made of.
NAMED = f"""(
    SELECT merchant_id, id AS checkout_id, transaction_id AS name FROM payments_checkout
    WHERE captured IS NOT NULL AND transaction_id <> ''
    UNION ALL
    SELECT merchant_id, id, transaction_code FROM payments_checkout
    WHERE captured IS NOT NULL AND transaction_code IS NOT NULL
    UNION ALL
    SELECT shown.merchant_id, shown.checkout_id, shown.id FROM {SHOWN} AS shown
    JOIN payments_checkout AS checkout ON checkout.id = shown.checkout_id AND checkout.captured IS NOT NULL
        AND checkout.transaction_id = '' AND checkout.transaction_code IS NULL
    WHERE shown.id <> '')"""

#: What SumUp told of the money of a capture: what any answer shows of its transaction; of one that knows none, what its
#: own answer shows; and what a person was told of it as a stray.
TOLD = f"""(
    SELECT checkout.id AS checkout_id, shown.amount FROM payments_checkout AS checkout
    JOIN {SHOWN} AS shown ON shown.merchant_id = checkout.merchant_id AND shown.id = checkout.transaction_id
    WHERE checkout.captured IS NOT NULL AND checkout.transaction_id <> ''
    UNION ALL
    SELECT checkout.id, sum(shown.amount) FROM payments_checkout AS checkout
    JOIN {SHOWN} AS shown ON shown.checkout_id = checkout.id
    WHERE checkout.captured IS NOT NULL AND checkout.transaction_id = '' GROUP BY 1
    UNION ALL
    SELECT checkout.id, stray.amount FROM payments_checkout AS checkout JOIN payments_case AS stray
        ON stray.kind = 'stray' AND stray.merchant_id = checkout.merchant_id
        AND stray.transaction_id = checkout.transaction_id
    WHERE checkout.captured IS NOT NULL AND checkout.transaction_id <> '')"""
