/**
 * The first type of a `Content-Type`. Node's server keeps the first of several lines; others join
 * the lines by commas. A comma in a quoted parameter does not separate.
 */
export function firstContentType(value: string): string {
  let isQuoted = false;
  for (let at = 0; at < value.length; at++) {
    const letter = value[at];
    if (letter === '"') isQuoted = !isQuoted;
    else if (letter === "\\" && isQuoted) at++;
    else if (letter === "," && !isQuoted) return value.slice(0, at);
  }
  return value;
}
