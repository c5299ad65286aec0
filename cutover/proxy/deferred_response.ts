import type { ServerResponse } from "node:http";
import { endResponse } from "./client_response.ts";

export interface ResponseHeadToSend {
  readonly status: number;
  readonly reason: string;
  /** Names and values in turn. */
  readonly headers: string[];
}

interface DeferredResponseListener {
  /** Whether the connection is closed after this response. */
  isLast(): boolean;
  /** Node refuses the head, such as one with a control character. Another one may be begun. */
  headIsRefused(): void;
  /** The client receives what was kept, and more may follow. */
  continues(): void;
}

/**
 * A client's response that is sent with the first byte of its body, and not before the responses in
 * front of it on its connection. Until then another one may take its place.
 *
 * Many HTTP clients send a request again by themselves when its connection ends without a byte of a
 * response, a write too. An error response in time prevents that.
 */
export class DeferredResponse {
  #head: ResponseHeadToSend | undefined;
  /** Parts of the body that arrived before the client's turn. */
  #parts: Uint8Array[] = [];

  constructor(readonly response: ServerResponse, readonly listener: DeferredResponseListener) {}

  /** Whether it can no longer be replaced: a part of it was sent, or all of it waits for its turn. */
  get isSent(): boolean {
    return this.response.headersSent;
  }

  /** Whether it has a head, sent or not. */
  get hasHead(): boolean {
    return this.#head !== undefined || this.isSent;
  }

  /** Whether the responses before it on its connection are complete. */
  get isInTurn(): boolean {
    return this.response.socket !== null;
  }

  /** Sets the head; what came before is dropped. */
  begin(head: ResponseHeadToSend): void {
    this.#head = head;
    this.#parts = [];
  }

  /** Sends a part of the body. False: wait until it {@link DeferredResponseListener.continues continues}, or for `drain`. */
  write(part: Uint8Array): boolean {
    if (!this.isInTurn) {
      if (this.#parts.length === 0) this.response.once("socket", () => this.#sendParts());
      this.#parts.push(part);
      return false;
    }
    return !this.sendHead() || this.response.write(part);
  }

  /** Sends the last part. Before its turn, Node keeps it. */
  end(last: Uint8Array | undefined): void {
    if (!this.sendHead()) return;
    for (const part of this.#takeParts()) this.response.write(part);
    endResponse(this.response, last);
  }

  /** Passes the head on, to be sent with the next part. False: it was refused. */
  sendHead(): boolean {
    const head = this.#head;
    if (head === undefined) return true;
    this.#head = undefined;
    const { response } = this;
    response.sendDate = false;
    if (this.listener.isLast()) response.shouldKeepAlive = false;
    try {
      response.writeHead(head.status, head.reason, head.headers);
      return true;
    } catch {
      this.#parts = [];
      this.listener.headIsRefused();
      return false;
    }
  }

  #sendParts(): void {
    const parts = this.#takeParts();
    if (parts.length === 0 || !this.sendHead()) return;
    let acceptsMore = true;
    for (const part of parts) acceptsMore = this.response.write(part);
    if (acceptsMore) this.listener.continues();
  }

  #takeParts(): Uint8Array[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }
}
