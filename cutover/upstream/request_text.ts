/**
 * The head of a request as it is sent.
 *
 * @param lines names and values in turn
 * @param host what stands in a `Host` that is put in front; undefined: the lines have theirs
 */
export function headText(
  method: string,
  target: string,
  lines: readonly string[],
  host: string | undefined,
): string {
  let head = `${method} ${target} HTTP/1.1\r\n`;
  if (host !== undefined) head += `Host: ${host}\r\n`;
  for (let at = 0; at < lines.length; at += 2) head += `${lines[at]}: ${lines[at + 1]}\r\n`;
  return `${head}\r\n`;
}
