import type { LoginThrottle } from "../auth/throttle.ts";
import { createTokenIssuer } from "../auth/tokens.ts";
import type { WatchedKeys } from "../auth/watched_keys.ts";
import type { Write } from "../db/write.ts";
import type { Effects } from "../http/effects.ts";

/**
 * The audience of the token in the answer to a login that was only tried out. Nobody takes it: it
 * looks like a real one, but nobody has logged in.
 */
const DRY_RUN_AUDIENCE = "lotline-dry-run";

interface Deps {
  /** Takes back what it has executed. */
  readonly write: Write;
  readonly keys: WatchedKeys;
  readonly throttle: LoginThrottle;
}

/** Effects that leave nothing, and from which the answer is the same. */
export function effectsOfDryRun({ write, keys, throttle }: Deps): Effects {
  const nothing = () => {};
  return {
    write,
    forgetTrace: () => Promise.resolve(),
    login: {
      consumeThrottle: throttle.peek,
      write,
      // It is over as it begins.
      issueToken: createTokenIssuer({ keys, minutes: 0, audience: DRY_RUN_AUDIENCE }),
      rehashes: false,
      noteLongPassword: nothing,
      onOutcome: nothing,
    },
    // Who sends dry runs guesses no passwords.
    holdsBack: false,
  };
}
