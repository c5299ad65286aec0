-- Reads a time as a session with another time zone and order of dates reads it, with PostgreSQL's own
-- rules and zones. What the function sets ends with it, after an error too.
-- Locks: none on tables that exist.
create function lotline.moment_in_zone(moment text, zone text, date_style text) returns timestamptz
language plpgsql set timezone = 'UTC' set datestyle = 'ISO, MDY' as $$
begin
  perform set_config('TimeZone', zone, true), set_config('DateStyle', date_style, true);
  return moment::timestamptz;
end $$;
