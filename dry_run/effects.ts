import type { LoginThrottle } from "../auth/throttle.ts";
import { createTokenIssuer } from "../auth/tokens.ts";
import type { WatchedKeys } from "../auth/keys.ts";
import type { Write } from "../db/write.ts";
import type { Effects } from "../http/operation.ts";

/** The audience of the token in a dry run's answer to a login. Nothing accepts such a token. */
const DRY_RUN_AUDIENCE = "lotline-dry-run";

interface Deps {
  /** Rolls back. */
  readonly write: Write;
  readonly keys: WatchedKeys;
  readonly throttle: LoginThrottle;
}

/** Effects that store nothing and lead to the same answer. */
export function effectsOfDryRun({ write, keys, throttle }: Deps): Effects {
  const nothing = () => {};
  return {
    write,
    forgetTrace: () => Promise.resolve(),
    login: {
      consumeThrottle: throttle.peek,
      write,
      // The token expires at once.
      issueToken: createTokenIssuer({ keys, minutes: 0, audience: DRY_RUN_AUDIENCE }),
      rehashes: false,
      noteLongPassword: nothing,
      onOutcome: nothing,
    },
    // The sender of dry runs guesses no passwords.
    holdsBack: false,
  };
}
