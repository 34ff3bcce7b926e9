-- The shortage class in force per municipality and industry, where one has been entered.
SELECT municipality_code, industry_code, shortage_class FROM core.industry_shortage ORDER BY ALL
