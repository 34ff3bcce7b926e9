-- What every build counts and reads with. The marks of Statistics Denmark: `..` withheld, `-` nil, `.` cannot occur,
-- `...` not available. `<zero>` and so on are those values of the column value_status, in its own type.
CREATE OR REPLACE MACRO stat_value(v) AS
    CASE WHEN v = '-' THEN 0 ELSE TRY_CAST(v AS DECIMAL(18, 4)) END;
-- The column's own type, so that no row's status is looked up as a text.
CREATE OR REPLACE MACRO stat_status(v) AS
    CASE TRY_CAST(v AS DECIMAL(18, 4)) <> 0
        WHEN true THEN <observed>
        WHEN false THEN <zero>
        ELSE CASE WHEN v = '-' THEN <zero>
                  WHEN v = '..' THEN <suppressed>
                  WHEN v = '.' THEN <not_applicable>
                  WHEN v IS NULL OR v IN ('', '...') THEN <missing>
             END
    END;
-- The first day of a period: 2016, 2016K3 (quarter), 2016M07 (month).
CREATE OR REPLACE MACRO period_date(p) AS
    make_date(
        left(p, 4)::INTEGER,
        CASE substr(p, 5, 1) WHEN 'K' THEN 3 * substr(p, 6)::INTEGER - 2 WHEN 'M' THEN substr(p, 6)::INTEGER ELSE 1 END,
        1
    );
CREATE OR REPLACE MACRO end_of_november(p) AS make_date(left(p, 4)::INTEGER, 11, 30);
-- A sum is known only when all its parts are: a withheld or absent part is never taken for 0.
CREATE OR REPLACE MACRO status_of_sum(v, s, parts) AS
    CASE WHEN bool_or(s = 'suppressed') THEN 'suppressed'
         WHEN count(*) < parts OR bool_or(v IS NULL) THEN 'missing'
         WHEN sum(v) = 0 THEN 'zero'
         WHEN bool_or(s = 'estimated') THEN 'estimated'
         WHEN bool_or(s = 'provisional') THEN 'provisional'
         ELSE 'observed'
    END;
CREATE OR REPLACE MACRO sum_complete(v, s, parts) AS
    CASE WHEN count(*) < parts OR bool_or(v IS NULL) THEN NULL ELSE sum(v) END;
