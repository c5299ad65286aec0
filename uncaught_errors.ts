import { describeError, type Log } from "./log.ts";

/**
 * Ends the process after an error that nothing has caught, with one line in the log in place of Deno's
 * report.
 */
export function endOnUncaught(log: Log): void {
  for (const type of ["unhandledrejection", "error"] as const) {
    globalThis.addEventListener(type, (event) => {
      event.preventDefault();
      log("error", "uncaught_error", { error: describeError(errorOf(event)) });
      Deno.exit(1);
    });
  }
}

function errorOf(event: Event): unknown {
  if (event instanceof PromiseRejectionEvent) return event.reason;
  return event instanceof ErrorEvent ? event.error : event;
}
