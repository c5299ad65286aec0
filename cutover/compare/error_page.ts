/** An error page without its stack frames and without the JSON parser's message. */
export function withoutFrames(body: string): string {
  return body.replaceAll(/(?:<br> &nbsp; &nbsp;at [^<]*)+/g, "")
    .replaceAll(/<pre>(\w+Error): [^<]*/g, "<pre>$1: …");
}

/** Whether this is an HTML error page of the old server's framework. */
export function isErrorPage(body: string): boolean {
  if (!/^<!DOCTYPE html>\s*<html lang="en">/.test(body)) return false;
  const title = body.indexOf("<title>Error</title>");
  return title !== -1 && body.includes("<pre>", title);
}
