import { comparedValue } from "../compare/compared_headers.ts";

/** What {@link differsAt} looks at: a recorded answer, or one that came now. */
export interface WithHeaders {
  readonly headers: Readonly<Record<string, string>>;
  /** Recordings say only that there was one. */
  readonly etag?: string | true | undefined;
}

/** Whether two answers differ in the header that a place such as `header vary` names. */
export function differsAt(place: string, recorded: WithHeaders, actual: WithHeaders): boolean {
  const name = nameOf(place);
  if (name === "etag") return (recorded.etag === undefined) !== (actual.etag === undefined);
  return comparedValue(name, recorded.headers[name]) !== comparedValue(name, actual.headers[name]);
}

/** An answer as if it didn't have the header that a place names. */
export function withoutHeader<A extends WithHeaders>(place: string, answer: A): A {
  const name = nameOf(place);
  if (name === "etag") return { ...answer, etag: undefined };
  const { [name]: _left, ...headers } = answer.headers;
  return { ...answer, headers };
}

function nameOf(place: string): string {
  return place.slice("header ".length);
}
