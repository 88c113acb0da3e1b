-- What several queries compute alike. Loaded into every connection of storage/query.py.

-- Bin of p, exactly as calib.metrics.bin_counts: bin b (from 0) is [b/n_bins, (b+1)/n_bins), the last also holds p = 1.
-- FLOOR(p * n_bins) alone rounds (0.29 * 100 < 29). The product with a little more than n_bins is never too small and at
-- most one bin too large, so one comparison with the edge as a double puts it right. Of 16 bits: connections group by
-- keys of so few without hashing them (`perfect_ht_threshold`), which takes half the time.
CREATE MACRO bin_of(p, n_bins) AS CAST(
    FLOOR(p * (CAST(n_bins AS DOUBLE) * (1 + 8.881784197001252e-16)))
    - CAST(
        p >= 1 OR p < FLOOR(p * (CAST(n_bins AS DOUBLE) * (1 + 8.881784197001252e-16))) / CAST(n_bins AS DOUBLE)
        AS DOUBLE
    )
    AS USMALLINT
);

-- Ends of the 95% interval of a share k / n by Wilson's score; NULL where n is 0. Rows must be independent.
CREATE MACRO wilson_low(k, n) AS
    CASE WHEN n > 0 THEN GREATEST(
        (k + 1.920729410347062 - 1.959963984540054 * SQRT(CAST(k AS DOUBLE) * (n - k) / n + 0.960364705173531))
        / (n + 3.841458820694124),
        0
    ) END;
CREATE MACRO wilson_high(k, n) AS
    CASE WHEN n > 0 THEN LEAST(
        (k + 1.920729410347062 + 1.959963984540054 * SQRT(CAST(k AS DOUBLE) * (n - k) / n + 0.960364705173531))
        / (n + 3.841458820694124),
        1
    ) END;

-- A text without case, white space and punctuation, which "What's up?" and "what s  up" share. Symbols stay: "C++".
-- Single spaces, which most texts are full of, are left alone: that halves the time.
CREATE MACRO levelled(text) AS TRIM(REGEXP_REPLACE(
    LOWER(text),
    '[\s\p{Z}\p{P}]*\p{P}[\s\p{Z}\p{P}]*|[\s\p{Z}]{2,}|[\t\n\f\r\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]',
    ' ',
    'g'
));
