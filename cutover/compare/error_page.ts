/** An error page without its stack frames and without the words of the JSON parser. */
export function withoutFrames(body: string): string {
  return body.replaceAll(/(?:<br> &nbsp; &nbsp;at [^<]*)+/g, "")
    .replaceAll(/<pre>(\w+Error): [^<]*/g, "<pre>$1: …");
}

/** Whether this is one of the HTML pages that the old server's framework wrote for an error. */
export function isErrorPage(body: string): boolean {
  if (!/^<!DOCTYPE html>\s*<html lang="en">/.test(body)) return false;
  const title = body.indexOf("<title>Error</title>");
  return title !== -1 && body.includes("<pre>", title);
}
