/**
 * The first type of a `Content-Type`. Node's server keeps the first of several lines; others join
 * the lines by commas. A comma in a quoted parameter does not separate.
 */
export function firstContentType(value: string): string {
  let isQuoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (character === '"') isQuoted = !isQuoted;
    else if (character === "\\" && isQuoted) at++;
    else if (character === "," && !isQuoted) return value.slice(0, at);
  }
  return value;
}
