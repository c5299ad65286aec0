import type { Sql } from "../db/sql.ts";
import { REQUIRED, startApi, type TestApi } from "./api.ts";
import { apiOnSeed } from "./api_on_seed.ts";
import { type TokenMaker, tokenMaker } from "./tokens.ts";

/** An API in each mode, on one database with the recordings' rows and with the same keys. */
interface BothModes {
  readonly required: TestApi;
  readonly legacy: TestApi;
  readonly sql: Sql;
  readonly databaseUrl: string;
  /** Makes tokens that both accept. */
  readonly maker: TokenMaker;
}

/** Starts both for all tests of the calling file. */
export async function apiInBothModes(
  environment: Record<string, string> = {},
): Promise<BothModes> {
  const { api: required, sql, databaseUrl } = await apiOnSeed({ ...REQUIRED, ...environment });
  const legacy = await startApi({ databaseUrl, keyFile: required.keyFile, environment });
  Deno.test.afterAll(async () => await legacy[Symbol.asyncDispose]());
  return { required, legacy, sql, databaseUrl, maker: await tokenMaker(required.keyFile) };
}
