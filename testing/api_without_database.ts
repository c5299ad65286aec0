import { freePort } from "../dev/free_port.ts";
import { startApi, type TestApi } from "./api.ts";

/** An API without its PostgreSQL, for all tests of the calling file. */
export async function apiWithoutDatabase(
  environment: Record<string, string> = {},
): Promise<TestApi> {
  const databaseUrl = `postgres://127.0.0.1:${freePort()}/none`;
  const api = await startApi({ databaseUrl, environment });
  Deno.test.afterAll(async () => await api[Symbol.asyncDispose]());
  return api;
}
