import { z } from "zod";
import type { Valkey } from "../cache/valkey.ts";
import { parseJson } from "../json.ts";

/** A change of what is revoked; moments in s since 1970. */
export type Revocation = z.output<typeof Revocation>;

const Revocation = z.union([
  z.object({
    kind: z.literal("account"),
    userId: z.string(),
    disabled: z.boolean(),
    /** Tokens issued before it are refused. */
    tokensFrom: z.number().nullable(),
  }),
  z.object({ kind: z.literal("token"), tokenId: z.string(), expiresAt: z.number() }),
]);

const STREAM = "lotline:revocations";
/** More than come within seconds; PostgreSQL has all of them. */
const STREAM_LENGTH = 1_000;

/** Tells the running processes of a change that is stored already. Never throws. */
export async function publishRevocation(
  valkey: Valkey | undefined,
  revocation: Revocation,
): Promise<void> {
  const entry = { revocation: JSON.stringify(revocation) };
  await valkey?.tryCommand((client) =>
    client.xAdd(STREAM, "*", entry, {
      TRIM: { strategy: "MAXLEN", strategyModifier: "~", threshold: STREAM_LENGTH },
    })
  );
}

interface StreamReply {
  /** The id of the newest entry that was read. */
  readonly newest: string;
  readonly entries: readonly { readonly id: string; readonly message: Record<string, string> }[];
}

/**
 * Asks for what was announced since the last time; the first time, and after Valkey was away, for
 * nothing yet: what was before stands in PostgreSQL. Never throws.
 */
export function createRevocationReader(valkey: Valkey): () => Promise<Revocation[]> {
  let newest: string | undefined;
  return async () => {
    const news = await valkey.tryCommand<StreamReply>(async (client) => {
      if (newest === undefined) {
        const [last] = await client.xRevRange(STREAM, "+", "-", { COUNT: 1 }) ?? [];
        return { newest: last?.id ?? "0-0", entries: [] };
      }
      const [stream] = await client.xRead({ key: STREAM, id: newest }) ?? [];
      const entries = stream?.messages ?? [];
      return { newest: entries.at(-1)?.id ?? newest, entries };
    });
    newest = news?.newest;
    return (news?.entries ?? []).flatMap(({ message }) => {
      const revocation = Revocation.safeParse(parseJson(message.revocation ?? ""));
      return revocation.success ? [revocation.data] : [];
    });
  };
}
