-- label_da: Indikatorværdier fra leverancer
-- label_en: Indicator values from deliveries
-- description: Guarded shares among newcomers, answers of the organisation questionnaire, and observed weeks to a first
--   job; no figure on fewer persons than the disclosure threshold allows.
-- grain: indicator_id, area_code, period
SELECT
    indicator_id, municipality_code AS area_code, period, reference_date, value, numerator, denominator, value_status,
    NULL AS _snapshot_id
FROM model.newcomer_share
UNION ALL
SELECT
    indicator_id, municipality_code, year(reference_date::DATE), reference_date, value, NULL, NULL,
    CASE
        WHEN value IS NULL THEN 'suppressed'
        WHEN value <> 0 THEN 'observed'
        WHEN rests_on_persons THEN 'estimated'
        ELSE 'zero'
    END, NULL
FROM (
    SELECT
        answered.*,
        -- Answers that count persons are withheld or rounded as figures from the person rows are.
        indicator_id IN (
            'start_firm_directed_days', 'contract_within_1_month_pct', 'started_within_14d_pct',
            'started_within_30d_pct'
        ) AS rests_on_persons
    FROM (
        SELECT
            municipality_code, reference_date, is_withheld::BOOLEAN AS is_withheld,
            start_firm_directed_days_median::DECIMAL(18, 4) AS start_firm_directed_days,
            contract_within_1_month_pct::DECIMAL(18, 4) AS contract_within_1_month_pct,
            started_within_14d_pct::DECIMAL(18, 4) AS started_within_14d_pct,
            started_within_30d_pct::DECIMAL(18, 4) AS started_within_30d_pct,
            caseload_per_caseworker_count::DECIMAL(18, 4) AS caseload_per_caseworker_count,
            job_consultants_fte::DECIMAL(18, 4) AS job_consultants_fte,
            programme_expenditure_dkk::DECIMAL(18, 4) AS programme_expenditure_dkk,
            firm_partnerships_count::DECIMAL(18, 4) AS firm_partnerships_count
        FROM model.organisation
        -- Two answers of one year would be two values of one period; the newest stands.
        QUALIFY reference_date = max(reference_date) OVER (PARTITION BY municipality_code, year(reference_date::DATE))
    ) UNPIVOT INCLUDE NULLS (
        value FOR indicator_id IN (
            start_firm_directed_days, contract_within_1_month_pct, started_within_14d_pct, started_within_30d_pct,
            caseload_per_caseworker_count, job_consultants_fte, programme_expenditure_dkk, firm_partnerships_count
        )
    ) answered
)
WHERE value IS NOT NULL OR (rests_on_persons AND is_withheld)
UNION ALL
SELECT
    outcome_id, municipality_code, period, make_date(right(period, 4)::INTEGER, 12, 31),
    observed, NULL, n_count,
    if(observed IS NULL, if(value_status = 'estimated', 'missing', value_status), 'observed'), NULL
FROM model.duration
WHERE outcome_id = 'first_job_weeks'
