import { endSpan, failureOf, hasActiveSpan, startSpan } from "../telemetry/tracing.ts";

/**
 * Runs commands of Valkey in a span, when they are a part of a request or a job. It is named by the first
 * command: keys may hold an address or an account.
 */
export async function tracedCommand<Client extends object, T>(
  work: (client: Client) => Promise<T>,
  client: Client,
): Promise<T> {
  if (!hasActiveSpan()) return await work(client);
  const span = startSpan("valkey", {
    kind: "client",
    attributes: { "db.system.name": "redis" },
  });
  let isNamed = false;
  const named = new Proxy(client, {
    get(target, name) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      if (!isNamed && typeof name === "string") {
        isNamed = true;
        const command = name.toUpperCase();
        span?.updateName(`valkey ${command}`).setAttribute("db.operation.name", command);
      }
      return member.bind(target);
    },
  });
  let failure: string | undefined;
  try {
    return await work(named);
  } catch (error) {
    failure = failureOf(error);
    throw error;
  } finally {
    endSpan(span, failure);
  }
}
