-- Openings posted over twelve months per municipality and industry (37 groups), each with its status.
SELECT municipality_code, industry_code, openings_posted_count::DOUBLE AS openings_posted_count, value_status
FROM core.openings ORDER BY ALL
