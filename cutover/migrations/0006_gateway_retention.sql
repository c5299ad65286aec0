-- The gateway deletes evidence that was kept for long enough; before, the worker did. So a role that may
-- add outcomes may delete old evidence.
-- Locks: none on tables that exist.
do $$
declare
  granted record;
begin
  for granted in
    select distinct grantee
    from pg_class, aclexplode(relacl)
    where oid = 'lotline.route_outcomes'::regclass and grantee <> relowner
      and privilege_type = 'INSERT'
  loop
    execute format(
      'grant delete on lotline.route_answers, lotline.route_clients, lotline.route_outcomes,
        lotline.route_coverage, lotline.differences, lotline.evidence_collectors,
        lotline.recordings to %s',
      case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end
    );
  end loop;
end $$;
