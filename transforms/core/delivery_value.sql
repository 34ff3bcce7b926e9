-- label_da: Indikatorværdier fra leverancer
-- label_en: Indicator values from deliveries
-- description: Guarded shares among newcomers, answers of the organisation questionnaire, and observed weeks to a first
--   job; no figure on fewer persons than the disclosure threshold allows.
-- grain: indicator_id, area_code, period
SELECT
    indicator_id, municipality_code AS area_code, period, reference_date::DATE AS reference_date,
    round(value::DOUBLE, 4)::DECIMAL(18, 4) AS value, NULL::DECIMAL(18, 4) AS numerator,
    denominator::DECIMAL(18, 4) AS denominator, value_status, NULL::VARCHAR AS _snapshot_id
FROM model.newcomer_share
UNION ALL
SELECT
    indicator_id, municipality_code, year(reference_date)::VARCHAR, reference_date, value, NULL, NULL,
    if(value = 0, 'zero', 'observed'), NULL
FROM (
    UNPIVOT (
        SELECT
            municipality_code, reference_date,
            start_firm_directed_days_median::DECIMAL(18, 4) AS start_firm_directed_days,
            contract_within_1_month_pct, started_within_14d_pct, started_within_30d_pct,
            caseload_per_caseworker_count, job_consultants_fte, programme_expenditure_dkk,
            firm_partnerships_count::DECIMAL(18, 4) AS firm_partnerships_count
        FROM mart.organisation
        -- Two answers of one year would be two values of one period; the newest stands.
        QUALIFY reference_date = max(reference_date) OVER (PARTITION BY municipality_code, year(reference_date))
    ) ON COLUMNS(* EXCLUDE (municipality_code, reference_date)) INTO NAME indicator_id VALUE value
)
UNION ALL
SELECT
    outcome_id, municipality_code, period, make_date(right(period, 4)::INTEGER, 12, 31),
    round(observed::DOUBLE, 4)::DECIMAL(18, 4), NULL, n_count::DECIMAL(18, 4),
    if(observed IS NULL, if(value_status = 'estimated', 'missing', value_status), 'observed'), NULL
FROM model.duration
