// The way to Python and back: JSON there; JSON and pictures (a header and arrays) from there.

export class Connection {
  /** `on.state`, `on.problem`, `on.code`, `on.picture` and `on.closed` are called with what arrives. */
  constructor(on) {
    this.on = on;
    this.number = 0;
    this.open();
  }

  open() {
    const socket = this.socket = new WebSocket(`ws://${location.host}/session`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = event => {
      if (typeof event.data !== "string") return this.on.picture(unpacked(event.data));
      const message = JSON.parse(event.data);
      if (message.kind === "state") this.on.state(message);
      else if (message.kind === "code") this.on.code(message.text);
      else this.on.problem(message.text);
    };
    socket.onclose = event => { if (socket === this.socket) this.on.closed(event.reason); };
  }

  /** Ask for something, as in send("step", {count: 10}); returns the message's number. */
  send(what, fields = {}) {
    if (this.socket.readyState !== WebSocket.OPEN) return 0;
    this.number += 1;
    this.socket.send(JSON.stringify({do: what, id: this.number, ...fields}));
    return this.number;
  }
}

/** A picture: its header's facts, and its arrays by name. */
function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const picture = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  for (const [name, type, size] of picture.arrays) {
    picture[name] = type === "float32" ? new Float32Array(buffer, at, size) : new Uint8Array(buffer, at, size);
    at += Math.ceil(picture[name].byteLength / 4) * 4;
  }
  return picture;
}
