import type postgres from "postgres";

// PostgreSQL's own schemas.
const OURS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

// One line for each definition in the database, its schema first. Each query reads one kind from
// the catalogs.
const DEFINITIONS = [
  `select format('%s schema owner=%s acl=%s comment=%s', nspname, nspowner::regrole, nspacl,
    obj_description(n.oid)) from pg_namespace n where ${OURS}`,

  `select format('%s extension %s %s owner=%s', nspname, extname, extversion, extowner::regrole)
  from pg_extension join pg_namespace n on n.oid = extnamespace`,

  `select format('%s relation %s kind=%s persistence=%s owner=%s acl=%s options=%s rls=%s,%s '
    'identity=%s partition=%s inherits=%s comment=%s view=%s', nspname, relname, relkind,
    relpersistence, relowner::regrole, relacl, reloptions, relrowsecurity, relforcerowsecurity,
    relreplident, relispartition,
    (select array_agg(inhparent::regclass) from pg_inherits where inhrelid = c.oid),
    obj_description(c.oid), case when relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
  from pg_class c join pg_namespace n on n.oid = relnamespace
  where ${OURS} and relkind not in ('i', 'I')`,

  `select format('%s column %s.%s %s %s notnull=%s default=%s generated=%s,%s collation=%s '
    'storage=%s,%s statistics=%s acl=%s options=%s comment=%s', nspname, relname, attnum, attname,
    format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attgenerated,
    attidentity, attcollation::regcollation, attstorage, attcompression, attstattarget, attacl,
    attoptions, col_description(c.oid, attnum))
  from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
  left join pg_attrdef on adrelid = attrelid and adnum = attnum
  where ${OURS} and attnum > 0 and relkind not in ('i', 'I')`,

  `select format('%s constraint %s.%s %s validated=%s comment=%s', nspname, conrelid::regclass,
    conname, pg_get_constraintdef(o.oid), convalidated, obj_description(o.oid))
  from pg_constraint o join pg_namespace n on n.oid = connamespace where ${OURS}`,

  `select format('%s index %s valid=%s ready=%s clustered=%s', nspname,
    pg_get_indexdef(indexrelid), indisvalid, indisready, indisclustered)
  from pg_index join pg_class c on c.oid = indexrelid join pg_namespace n on n.oid = relnamespace
  where ${OURS}`,

  `select format('%s trigger %s enabled=%s comment=%s', nspname, pg_get_triggerdef(t.oid),
    tgenabled, obj_description(t.oid))
  from pg_trigger t join pg_class c on c.oid = tgrelid join pg_namespace n on n.oid = relnamespace
  where not tgisinternal`,

  `select format('%s rule %s enabled=%s', nspname, pg_get_ruledef(r.oid), ev_enabled)
  from pg_rewrite r join pg_class c on c.oid = ev_class join pg_namespace n on n.oid = relnamespace
  where ${OURS}`,

  `select format('%s policy %s', schemaname, p) from pg_policies p`,

  `select format('%s function %s owner=%s acl=%s %s %s', nspname, f.oid::regprocedure,
    proowner::regrole, proacl, prosrc, proconfig)
  from pg_proc f join pg_namespace n on n.oid = pronamespace where ${OURS}`,

  `select format('%s type %s kind=%s owner=%s acl=%s labels=%s', nspname, typname, typtype,
    typowner::regrole, typacl,
    (select array_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = t.oid))
  from pg_type t join pg_namespace n on n.oid = typnamespace where ${OURS}`,

  `select format('* database owner=%s acl=%s settings=%s', datdba::regrole, datacl,
    (select array_agg(s::text) from pg_db_role_setting s where setdatabase = d.oid))
  from pg_database d where datname = current_database()`,

  `select format('* default privileges %s', d) from pg_default_acl d`,
  `select format('* event trigger %s', e) from pg_event_trigger e`,
  `select format('* publication %s %s', p, (select array_agg(t::text) from pg_publication_tables t
    where t.pubname = p.pubname)) from pg_publication p`,
];

/**
 * The whole contents of the database, a sorted list of lines: each definition, and each row as
 * text, except those of unlogged tables. A row has its physical place, so that a rewritten one differs
 * even with the same values.
 * Each line starts with the schema it belongs to (`*` for the database itself).
 */
export async function dump(sql: postgres.Sql): Promise<string[]> {
  const lines: string[] = [];
  for (const query of DEFINITIONS) {
    for (const [line] of await sql.unsafe(query).values()) lines.push(String(line));
  }
  // Running processes write to unlogged tables all the time.
  const tables = await sql<{ schema: string; name: string }[]>`
    select nspname as schema, relname as name
    from pg_class join pg_namespace n on n.oid = relnamespace
    where ${sql.unsafe(OURS)} and relkind in ('r', 'S', 'm') and relpersistence <> 'u'`;
  for (const { schema, name } of tables) {
    const rows = await sql`
      select ctid::text, row(r.*)::text as row from ${sql(`${schema}.${name}`)} r`;
    for (const { ctid, row } of rows) lines.push(`${schema} row ${name} ${ctid} ${row}`);
  }
  return lines.sort();
}

/** The lines that only one of two dumps has. */
export function dumpChanges(
  before: readonly string[],
  after: readonly string[],
): { gone: string[]; added: string[] } {
  const [had, has] = [new Set(before), new Set(after)];
  return {
    gone: before.filter((line) => !has.has(line)),
    added: after.filter((line) => !had.has(line)),
  };
}
