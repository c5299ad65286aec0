import { ApiError } from "../errors.ts";
import { constraintOf } from "./pg_errors.ts";

/**
 * A handler for `catch` that turns a violated constraint into the client's error, by the constraint's
 * name; anything else is thrown again.
 */
export function conflictsOf(
  responses: Readonly<Record<string, () => ApiError>>,
): (thrown: unknown) => never {
  return (thrown) => {
    const name = constraintOf(thrown);
    throw (name === undefined ? undefined : responses[name]?.()) ?? thrown;
  };
}

/** A reference to a row that isn't there. */
export function unknownReference(field: string, noun: string): ApiError {
  return new ApiError("unknown_reference", `${field} names no ${noun} that exists`);
}
