-- Fails with everything that PostgreSQL has against its configuration files.
DO $$
DECLARE
    complaints text;
BEGIN
    SELECT string_agg(complaint, E'\n')
      INTO complaints
      FROM (SELECT 'pg_hba.conf line ' || line_number || ': ' || error FROM pg_hba_file_rules
             WHERE error IS NOT NULL
            UNION ALL
            SELECT 'pg_ident.conf line ' || line_number || ': ' || error FROM pg_ident_file_mappings
             WHERE error IS NOT NULL
            UNION ALL
            SELECT sourcefile || ' line ' || sourceline || ': ' || coalesce(name || ': ', '') || error FROM pg_file_settings
             WHERE error IS NOT NULL AND sourcefile LIKE '%/conf.d/%'
               -- The scratch instance is started with a few settings of its own.
               AND NOT (error = 'setting could not be applied' AND current_setting('fsync') = 'off')) AS all_of_them (complaint);
    IF complaints IS NOT NULL THEN
        RAISE EXCEPTION '%', complaints;
    END IF;
END
$$;
