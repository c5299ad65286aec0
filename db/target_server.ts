import type { Address } from "./address.ts";
import { LinkError } from "./link_error.ts";

/**
 * Why a server isn't what `target_session_attrs` requests.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 *
 * @param reported the parameters that the server has sent
 * @param isReadOnly the session itself requests to be read-only, which hides the server's own setting
 */
export function mismatch(
  target: Address["target"],
  reported: ReadonlyMap<string, string>,
  isReadOnly: boolean,
): LinkError | undefined {
  if (target === "any") return undefined;
  const standby = reported.get("in_hot_standby");
  const readOnly = reported.get("default_transaction_read_only");
  if (standby === undefined || readOnly === undefined) {
    return new LinkError(
      "no_suitable_server",
      "the server doesn't report whether it is a standby, as a pooler: remove target_session_attrs",
    );
  }
  const isStandby = standby === "on";
  const writes = !isStandby && (isReadOnly || readOnly === "off");
  switch (target) {
    case "read-write":
      return writes ? undefined : new LinkError("read_only", "the server is read-only");
    case "read-only":
      return writes ? new LinkError("no_suitable_server", "the server isn't read-only") : undefined;
    case "primary":
      return isStandby ? new LinkError("read_only", "the server is a standby") : undefined;
    case "standby":
    case "prefer-standby":
      return isStandby
        ? undefined
        : new LinkError("no_suitable_server", "the server isn't a standby");
  }
}
