// A web phone without a browser: JsSIP over a WebSocket of Node.js.
//
// node phone.js URL DOMAIN USER PASSWORD [CA-FILE]
//
// Reads commands from standard input, one a line: `register`, `options USER`, `unregister`, `quit`. Prints what
// happens, one line each.
'use strict';

const fs = require('fs');
const readline = require('readline');
const JsSIP = require('jssip');
const WebSocket = require('ws');

const [url, domain, user, password, authority] = process.argv.slice(2);

// What JsSIP asks of a socket (its documentation calls it "Socket interface").
class Socket {
  constructor() {
    const { host, protocol } = new URL(url);
    this.url = url;
    this.via_transport = protocol === 'wss:' ? 'WSS' : 'WS';
    this.sip_uri = `sip:${host};transport=ws`;
    this.socket = null;
  }

  connect() {
    if (this.isConnected() || this.isConnecting()) return;
    const ca = authority && fs.readFileSync(authority);
    this.socket = new WebSocket(url, 'sip', { ca });
    this.socket.on('open', () => this.onconnect());
    this.socket.on('close', (code, reason) => this.ondisconnect(true, code, String(reason)));
    this.socket.on('error', error => console.log(`socket error: ${error.message}`));
    this.socket.on('message', (data, isBinary) => this.ondata(isBinary ? data : data.toString()));
  }

  disconnect() {
    if (this.socket) this.socket.close();
  }

  send(message) {
    if (!this.isConnected()) return false;
    this.socket.send(message);
    return true;
  }

  isConnected() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  isConnecting() {
    return this.socket !== null && this.socket.readyState === WebSocket.CONNECTING;
  }
}

const ua = new JsSIP.UA({
  sockets: [new Socket()],
  uri: `sip:${user}@${domain}`,
  password,
  register: false,
  register_expires: 120,
});

ua.on('connected', () => console.log('connected'));
ua.on('disconnected', () => console.log('disconnected'));
ua.on('registered', ({ response }) => console.log(`registered ${response.status_code}`));
ua.on('unregistered', () => console.log('unregistered'));
ua.on('registrationFailed', ({ response, cause }) =>
  console.log(`registration failed: ${response ? response.status_code : cause}`));

readline.createInterface({ input: process.stdin }).on('line', line => {
  const [command, argument] = line.split(' ');
  switch (command) {
    case 'register':
      ua.register();
      break;
    case 'options':
      ua.sendOptions(`sip:${argument}@${domain}`, null, {
        eventHandlers: {
          succeeded: ({ response }) => console.log(`options ${response.status_code}`),
          failed: ({ response, cause }) => console.log(`options ${response ? response.status_code : cause}`),
        },
      });
      break;
    case 'unregister':
      ua.unregister();
      break;
    case 'quit':
      ua.stop();
      process.stdin.destroy();
      break;
    default:
      console.log(`unknown command: ${line}`);
  }
});

ua.start();
