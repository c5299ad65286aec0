import type { WalPosition } from "../db/known_database.ts";
import type { Valkey } from "./valkey.ts";

/*
 * How far PostgreSQL's log of changes went, stored in Valkey: a database that is restored to an earlier
 * time can't know it. A lost value is no error: the restore isn't noticed then.
 */

/** Longer than a database stands still, in s. */
const TTL_S = 90 * 24 * 3_600;

const keyOf = ({ of }: WalPosition) => `lotline:wal:${of}`;

/** The stored positions. No method throws. */
export type WalPositions = ReturnType<typeof createWalPositions>;

export function createWalPositions(valkey: Valkey) {
  return {
    /** Whether a server is from an earlier time than the stored one. */
    async isEarlier(position: WalPosition): Promise<boolean> {
      const stored = await valkey.tryCommand((client) => client.get(keyOf(position)));
      return typeof stored === "string" && /^\d{1,20}$/.test(stored) &&
        BigInt(position.bytes) < BigInt(stored);
    },
    async set(position: WalPosition): Promise<void> {
      const expiration = { type: "EX", value: TTL_S } as const;
      await valkey.tryCommand((client) =>
        client.set(keyOf(position), position.bytes, { expiration })
      );
    },
  };
}
