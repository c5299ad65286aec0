import { z } from "zod";
import type { Valkey } from "../cache/valkey.ts";
import { parseJson } from "../json.ts";

/** Times in s since 1970. */
export type Revocation = z.output<typeof Revocation>;

const Revocation = z.union([
  z.object({
    kind: z.literal("account"),
    userId: z.string(),
    disabled: z.boolean(),
    /** Tokens that were issued earlier are refused. */
    tokensFrom: z.number().nullable(),
  }),
  z.object({ kind: z.literal("token"), tokenId: z.string(), expiresAt: z.number() }),
]);

const STREAM = "lotline:revocations";
/** More than arrive within seconds; PostgreSQL stores all of them. */
const STREAM_LENGTH = 1_000;

/** Announces a stored change to the other processes. Never throws. */
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

/**
 * What the stream still has, the oldest first; undefined when Valkey can't be read. Never throws.
 */
export async function listAnnounced(
  valkey: Valkey | undefined,
): Promise<readonly Revocation[] | undefined> {
  const entries = await valkey?.tryCommand((client) => client.xRange(STREAM, "-", "+"));
  return entries?.flatMap(({ message }) => parsed(message));
}

interface StreamReply {
  readonly newest: string;
  readonly entries: readonly { readonly message: Record<string, string> }[];
}

/**
 * Reads what was announced since the last call. The first call, and the first one after an outage
 * of Valkey, returns nothing: PostgreSQL has what came before. Never throws.
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
    return (news?.entries ?? []).flatMap(({ message }) => parsed(message));
  };
}

/** One revocation, or nothing for an entry that isn't ours. */
function parsed(message: Readonly<Record<string, string>>): readonly Revocation[] {
  const revocation = Revocation.safeParse(parseJson(message.revocation ?? ""));
  return revocation.success ? [revocation.data] : [];
}
