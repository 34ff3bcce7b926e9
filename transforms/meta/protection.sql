-- label_da: Hvad diskretioneringen koster
-- label_en: What protection costs
-- description: Per figure made of person rows: the cells there are, how many are withheld, and the mean error that
--   rounding adds to the others, to one digit, in the figure's own unit (per cent points for shares).
-- grain: figure_id
SELECT
    figure_id, cells_count, withheld_count,
    -- A mean over few cells would tell their exact values, and one of many digits, from one release to the next, the
    -- exact value of the only cell that has moved: one significant digit hides what a single cell adds.
    round(
        CASE WHEN cells_count::INTEGER - withheld_count::INTEGER >= 20 THEN mean_error::DOUBLE END,
        -floor(log10(greatest(mean_error::DOUBLE, 0.01)))::INTEGER
    ) AS mean_error
FROM model.protection
