/** The head of an HTTP/1.1 message as it is sent; `fields` are names and values in turn. */
export function headText(startLine: string, fields: readonly string[]): string {
  let text = `${startLine}\r\n`;
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return `${text}\r\n`;
}
