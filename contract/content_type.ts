/**
 * The first of the types that a `Content-Type` names. Node's server keeps the first of several lines;
 * others join them by commas, and a comma in a quoted parameter separates nothing.
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
