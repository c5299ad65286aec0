import net from "node:net";
import { listen } from "./test_server.ts";

/** A link to a server that can stop carrying data without closing, as a lost network does. */
export interface Link extends AsyncDisposable {
  readonly port: number;
  /** From now on data on existing and new connections is lost. */
  swallow(): void;
  /** New connections work again; the old ones stay dead, as they do after a lost route. */
  heal(): void;
  /** New connections lead to another port; the old ones stay unchanged. */
  lead(to: number): void;
}

/** Opens a link to the server of an address; `url` is the address over the link. */
export async function openLinkTo(target: string): Promise<Link & { readonly url: string }> {
  const url = new URL(target);
  const link = await openLink(Number(url.port));
  url.host = `127.0.0.1:${link.port}`;
  return { ...link, url: url.href };
}

/** Opens a link to a port of this machine. */
export async function openLink(target: number): Promise<Link> {
  let isDead = false;
  let leadsTo = target;
  const sockets = new Set<net.Socket>();
  const dead = new WeakSet<net.Socket>();
  const server = net.createServer((client) => {
    sockets.add(client);
    client.on("error", () => {});
    client.on("close", () => sockets.delete(client));
    if (isDead) {
      dead.add(client);
      return;
    }
    const upstream = net.connect(leadsTo, "127.0.0.1");
    upstream.on("error", () => client.destroy());
    client.on("data", (bytes) => dead.has(client) || upstream.write(bytes));
    upstream.on("data", (bytes) => dead.has(client) || client.write(bytes));
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => dead.has(client) || client.destroy());
  });
  return {
    port: await listen(server),
    swallow: () => {
      isDead = true;
      for (const socket of sockets) dead.add(socket);
    },
    heal: () => {
      isDead = false;
    },
    lead: (to) => {
      leadsTo = to;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
