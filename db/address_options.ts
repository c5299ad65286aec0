/*
 * The parameter `options` of a PostgreSQL address: settings of PostgreSQL, in the form of its command
 * line. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
 */

/**
 * Settings that would change what Lotline stores or reads. Its own timeouts, time zone and date style
 * may be given: each connection sends Lotline's values, and PostgreSQL applies these last.
 */
const RESERVED = new Set([
  "bytea_output",
  "client_encoding",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "extra_float_digits",
  "intervalstyle",
  "row_security",
  "search_path",
  "session_replication_role",
  "standard_conforming_strings",
  "transaction_isolation",
  "transaction_read_only",
  "transaction_timeout",
]);

/** Words that Neon's proxy takes out: https://neon.com/docs/connect/connection-errors */
const OF_NEON = /^(?:endpoint|project)=[\w-]{1,100}$/;

/** Why these options are refused: the rest of a sentence that begins with `options`. */
export function refusedOption(options: string): string | undefined {
  const words = wordsOf(options);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (OF_NEON.test(word)) continue;
    // `-c NAME=VALUE`, `-cNAME=VALUE` or `--NAME=VALUE`.
    const isAlone = word === "-c";
    const setting = isAlone ? words[++i] ?? "" : /^(?:--|-c)/.test(word) ? word.slice(2) : "";
    const [, name = ""] = /^([A-Za-z_][\w.-]{0,62})=/.exec(setting) ?? [];
    if (name === "") return "must consist of -c NAME=VALUE or --NAME=VALUE";
    const plain = name.toLowerCase().replaceAll("-", "_");
    if (RESERVED.has(plain)) return `can't set ${plain}, which is a setting of Lotline's own`;
    if (plain.startsWith("lotline.")) return "can't set what begins with lotline.";
  }
  return undefined;
}

/** The words between white space; after a backslash any character is an ordinary one. */
function wordsOf(options: string): string[] {
  const words = options.match(/(?:\\[^]|[^ \t-\r\\])+/g) ?? [];
  return words.map((word) => word.replace(/\\([^])/g, "$1"));
}
