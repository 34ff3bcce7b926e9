-- label_da: Indikatorværdier for grupper af kommuner
-- label_en: Indicator values of groups of municipalities
-- description: Every indicator for the country, regions, provinces, the programme's participants, their peers outside
--   the programme and the other municipalities, per period. A group's rate is the publisher's own or the ratio of the
--   summed counts, never an average of rates; where neither can be had the value is empty and the median tells what
--   the middle municipality has. A value needs every municipality of the group.
-- grain: group_kind, group_code, indicator_id, period
WITH peers AS (
    SELECT DISTINCT peer.peer_code
    FROM mart.peer peer
    JOIN mart.municipality municipality ON municipality.municipality_code = peer.municipality_code
    WHERE municipality.is_participant
),
members AS (
    SELECT 'country' AS group_kind, '000' AS group_code, 'Hele landet' AS group_name_da, 'All Denmark' AS group_name_en,
           municipality_code
    FROM mart.municipality
    UNION ALL
    SELECT 'region', area.area_code, area.area_name_da, area.area_name_en, municipality_code
    FROM mart.municipality municipality JOIN core.area area ON area.area_code = municipality.region_code
    UNION ALL
    SELECT 'province', area.area_code, area.area_name_da, area.area_name_en, municipality_code
    FROM mart.municipality municipality JOIN core.area area ON area.area_code = municipality.province_code
    UNION ALL
    SELECT
        kind, kind,
        CASE kind WHEN 'participants' THEN 'Programmets deltagere'
                  WHEN 'peers_of_participants' THEN 'Deltagernes sammenligningskommuner uden for programmet'
                  ELSE 'Øvrige kommuner' END,
        CASE kind WHEN 'participants' THEN 'Participants of the programme'
                  WHEN 'peers_of_participants' THEN 'Peers of the participants outside the programme'
                  ELSE 'Other municipalities' END,
        municipality_code
    FROM (
        SELECT
            municipality_code,
            CASE WHEN is_participant THEN 'participants'
                 WHEN municipality_code IN (FROM peers) THEN 'peers_of_participants'
                 ELSE 'other_municipalities' END AS kind
        FROM mart.municipality
    )
),
summed AS (
    SELECT
        members.group_kind, members.group_code, any_value(group_name_da) AS group_name_da,
        any_value(group_name_en) AS group_name_en,
        held.indicator_id, held.period, any_value(held.reference_date) AS reference_date,
        count(*) AS municipality_count, count(held.value) AS known_municipality_count,
        median(held.value) AS median_value,
        if(count(held.value) = count(*), sum(held.value), NULL) AS value_sum,
        if(count(held.numerator) = count(*) AND count(held.denominator) = count(*), sum(held.numerator), NULL)
            AS numerator,
        if(count(held.numerator) = count(*) AND count(held.denominator) = count(*), sum(held.denominator), NULL)
            AS denominator
    FROM members JOIN mart.indicator_value held USING (municipality_code)
    GROUP BY members.group_kind, members.group_code, held.indicator_id, held.period
),
published AS (
    SELECT area_code, indicator_id, period, value, numerator, denominator FROM core.indicator_area_value
    WHERE value IS NOT NULL
),
valued AS (
    SELECT
        summed.* EXCLUDE (numerator, denominator),
        indicator.operation, indicator.numerator_measure, indicator.denominator_measure,
        coalesce(published.numerator, if(published.value IS NULL, summed.numerator, NULL)) AS numerator,
        coalesce(published.denominator, if(published.value IS NULL, summed.denominator, NULL)) AS denominator,
        CASE
            WHEN published.value IS NOT NULL THEN published.value
            WHEN indicator.operation = 'ratio' AND summed.denominator > 0
                THEN indicator.scale * summed.numerator / summed.denominator
            WHEN indicator.operation = 'growth_5y' AND summed.denominator > 0
                THEN 100 * (summed.numerator - summed.denominator) / summed.denominator
            WHEN indicator.counted_numerator_measure IS NOT NULL AND summed.denominator > 0
                THEN 100 * summed.numerator / summed.denominator
            WHEN indicator.unit IN ('persons', 'jobs', 'dwellings', 'dkk_thousand') THEN summed.value_sum
        END AS value,
        CASE
            WHEN published.value IS NOT NULL THEN 'published'
            WHEN indicator.operation IN ('ratio', 'growth_5y') OR indicator.counted_numerator_measure IS NOT NULL
                THEN 'ratio_of_sums'
            WHEN indicator.unit IN ('persons', 'jobs', 'dwellings', 'dkk_thousand') THEN 'sum'
            ELSE 'none'
        END AS value_basis
    FROM summed
    JOIN mart.indicator indicator USING (indicator_id)
    LEFT JOIN published
        ON published.area_code = summed.group_code
        AND published.indicator_id = summed.indicator_id AND published.period = summed.period
),
rates AS (
    SELECT numerator_measure AS measure_id, group_kind, group_code, reference_date, value
    FROM valued WHERE operation = 'value'
)
SELECT
    valued.group_kind, valued.group_code, group_name_da, group_name_en, indicator_id, period, valued.reference_date,
    round(coalesce(valued.value, if(operation = 'difference', first_rate.value - second_rate.value, NULL)), 4)
        AS value,
    median_value, numerator, denominator, municipality_count, known_municipality_count,
    CASE
        WHEN coalesce(valued.value, if(operation = 'difference', first_rate.value - second_rate.value, NULL)) IS NOT NULL
            THEN 'observed'
        WHEN value_basis = 'none' AND operation <> 'difference' THEN 'not_applicable'
        ELSE 'missing'
    END AS value_status,
    if(operation = 'difference' AND value_basis <> 'published', 'difference_of_rates', value_basis) AS value_basis
FROM valued
LEFT JOIN rates first_rate
    ON valued.operation = 'difference' AND first_rate.measure_id = valued.numerator_measure
    AND first_rate.group_kind = valued.group_kind AND first_rate.group_code = valued.group_code
    AND first_rate.reference_date = valued.reference_date
LEFT JOIN rates second_rate
    ON valued.operation = 'difference' AND second_rate.measure_id = valued.denominator_measure
    AND second_rate.group_kind = valued.group_kind AND second_rate.group_code = valued.group_code
    AND second_rate.reference_date = valued.reference_date
