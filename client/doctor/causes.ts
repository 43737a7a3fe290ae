/** The programs that most often stand in front of a server. */
export const FRONTS = ['nginx', 'caddy', 'haproxy', 'traefik', 'apache', 'cloudflare'] as const
export type Front = (typeof FRONTS)[number]

/** Where a remedy belongs: in a proxy's configuration, among the flags of ess-server, or with you. */
export type Place = Front | 'ess-server' | 'you'

export interface Cause {
  /** What is wrong, for a person who didn't set it up. */
  readonly words: string
  /** The line that mends it, by place. `{base}` stands for the server's URL. */
  readonly mend: Readonly<Partial<Record<Place, string>>>
}

const RESERVE = '--early-response=false --reservations'
const WITH_HOST =
  'proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;'
const NEW_BASE = '--base-url {base} (or --trust-proxy with the address of the proxy)'
const NO_CLOUD = 'Set the DNS record to "DNS only" (the grey cloud).'
const LIMIT_TRAEFIK = 'remove the buffering middleware, or set buffering.maxRequestBodyBytes: 0'

/** Every fault that `ess doctor` can name. docs/doctor.md has the same table. */
export const CAUSES = {
  'name-unknown': {
    words: 'The name has no address.',
    mend: { you: 'Correct the name in --server or ESS_SERVER, or add an A or AAAA record for it.' },
  },
  'name-unanswered': {
    words: "This machine's name server did not answer.",
    mend: { you: 'Look at /etc/resolv.conf, and try: getent hosts NAME' },
  },
  'port-refused': {
    words: 'Nothing listens on this port of that machine, or only on its own loopback address.',
    mend: {
      you: 'Start the server, or correct the port in --server.',
      'ess-server': '--host :: --open (or --send-tokens FILE): alone, it listens on 127.0.0.1',
    },
  },
  'port-unused': {
    words: 'Nothing listens on this port of this machine.',
    mend: {
      you: 'Start the server, or correct the port in --server.',
      'ess-server': 'ess-server (and --port PORT, if it is another one than 9000)',
    },
  },
  'port-silent': {
    words: 'The port answers nothing: a firewall drops the packets, or there is no route.',
    mend: { you: 'Open the port in the firewall of the server and of its provider.' },
  },
  'address-dead': {
    words: 'Clients may try the dead address first, and some wait minutes before they try the next.',
    mend: {
      you: 'Remove the DNS record (A or AAAA) of the dead address, or listen on it too:',
      nginx: 'listen [::]:443 ssl;',
      haproxy: 'bind :::443 v6only ssl crt FILE',
      apache: 'Listen [::]:443',
      'ess-server': '--host ::',
    },
  },
  'client-proxy': {
    words: "The proxy that this machine's environment names can't be used.",
    mend: { you: 'Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or list the server in NO_PROXY.' },
  },
  'tls-plain': {
    words: 'The port speaks plain HTTP, not TLS.',
    mend: {
      you: 'Write http:// in --server, or turn TLS on:',
      nginx: 'listen 443 ssl; ssl_certificate FULLCHAIN.pem; ssl_certificate_key KEY.pem;',
      haproxy: 'bind :443 ssl crt FILE',
      apache: 'SSLEngine on',
      'ess-server': '--tls-cert FULLCHAIN.pem --tls-key KEY.pem',
    },
  },
  'tls-wanted': {
    words: 'The port speaks TLS, and was spoken to in plain HTTP.',
    mend: { you: 'Write https:// in --server or ESS_SERVER.' },
  },
  'tls-expired': {
    words: 'The certificate has expired, so every client refuses it.',
    mend: {
      you: 'Renew it: certbot renew, and then reload the program that shows it.',
      nginx: 'nginx -s reload',
      haproxy: 'systemctl reload haproxy',
      apache: 'apachectl graceful',
      caddy: 'Open port 80 or 443 to the world: Caddy renews by itself, and its log says what stops it.',
      'ess-server':
        'Put the new files in place of those of --tls-cert and --tls-key: they are read by themselves.',
    },
  },
  'tls-soon': {
    words: 'The certificate expires within two weeks, and nothing has renewed it.',
    mend: { you: 'Look at the timer: systemctl list-timers certbot.timer' },
  },
  'tls-early': {
    words: 'The certificate is not valid yet, or the clock of this machine is slow.',
    mend: { you: 'Compare the clock of this machine with another one: date' },
  },
  'tls-name': {
    words: 'The certificate is for other names.',
    mend: {
      you: 'Use one of its names in --server, or get a certificate for this one: certbot certonly -d NAME',
      nginx: 'server_name NAME; (the certificate shown is that of the default server)',
      haproxy: 'bind :443 ssl crt FOLDER strict-sni',
      traefik: 'tls.certResolver of the router, with a Host(`NAME`) rule',
    },
  },
  'tls-self-signed': {
    words:
      'No authority vouches for the certificate: it was signed with its own key, or by a private authority.',
    mend: {
      you: "Get one from Let's Encrypt; or, if it is yours, let clients trust it: NODE_EXTRA_CA_CERTS=CA.pem",
      caddy: 'Use a public name and remove "tls internal".',
    },
  },
  'tls-chain': {
    words:
      'The server shows its certificate without those of the authorities between. Browsers fetch them; programs do not.',
    mend: {
      nginx: 'ssl_certificate /etc/letsencrypt/live/NAME/fullchain.pem;',
      haproxy: 'cat fullchain.pem privkey.pem > FILE of "bind ... ssl crt FILE"',
      apache: 'SSLCertificateFile /etc/letsencrypt/live/NAME/fullchain.pem',
      traefik: 'tls.certificates: certFile: fullchain.pem',
      'ess-server': '--tls-cert fullchain.pem (the certificate and those of the authorities, in one file)',
      you: 'If the authority is your own: NODE_EXTRA_CA_CERTS=CA.pem',
    },
  },
  'tls-old': {
    words: 'The server speaks only versions of TLS that clients refuse today.',
    mend: {
      nginx: 'ssl_protocols TLSv1.2 TLSv1.3;',
      haproxy: 'ssl-default-bind-options ssl-min-ver TLSv1.2',
      apache: 'SSLProtocol -all +TLSv1.2 +TLSv1.3',
      caddy: 'tls { protocols tls1.2 tls1.3 }',
      traefik: 'tls.options.default.minVersion: VersionTLS12',
      cloudflare: 'SSL/TLS, Edge Certificates: minimum TLS version 1.2',
    },
  },
  'client-certificate': {
    words: 'The proxy wants a certificate from each client, and ess and curl have none to show.',
    mend: {
      nginx: 'ssl_verify_client off;',
      apache: 'SSLVerifyClient none',
      caddy: 'remove client_auth',
      haproxy: 'remove verify required and ca-file from bind',
      traefik: 'remove clientAuth from tls.options',
      cloudflare: 'Turn mTLS off for this host.',
      'ess-server': '--send-tokens FILE and --receive-tokens FILE say in its place who may send and receive',
    },
  },
  'tls-failed': {
    words: 'The TLS handshake failed.',
    mend: { you: 'Try by hand: openssl s_client -connect HOST:PORT' },
  },
  redirected: {
    words: 'The answer is a redirect. On a guest network, that is the page where you sign in.',
    mend: { you: 'Open the address in a browser and sign in, or correct --server.' },
  },
  'redirected-https': {
    words: 'The server sends plain HTTP on to https://, and ess follows no redirects.',
    mend: { you: 'Write https:// in --server or ESS_SERVER.' },
  },
  'not-ess': {
    words: 'Another program answers at this address.',
    mend: { you: 'Correct the host, the port and the path in --server or ESS_SERVER.' },
  },
  'closed-early': {
    words:
      'The port takes connections, and closes them without an answer: as a proxy that does not reach its server, or another program.',
    mend: {
      you: 'Start ess-server, and name its port in the proxy:',
      nginx: 'proxy_pass 127.0.0.1:9000; (in stream)',
      haproxy: 'server one 127.0.0.1:9000',
      traefik: 'tcp.services: loadBalancer.servers: - address: 127.0.0.1:9000',
    },
  },
  'front-alone': {
    words: 'The proxy answers, and does not reach the server behind it.',
    mend: {
      you: 'Start ess-server, and name its port in the proxy:',
      nginx: 'proxy_pass http://127.0.0.1:9000;',
      caddy: 'reverse_proxy 127.0.0.1:9000',
      haproxy: 'server one 127.0.0.1:9000',
      apache: 'ProxyPass / http://127.0.0.1:9000/ flushpackets=on',
      traefik: 'loadBalancer.servers: - url: http://127.0.0.1:9000',
      cloudflare: 'Look at the origin: its address, its port, and SSL/TLS mode "Full (strict)".',
    },
  },
  'front-password': {
    words: 'Something in front of the server refuses clients by itself, before the server is asked.',
    mend: {
      nginx: 'auth_basic off;',
      apache: 'Require all granted',
      caddy: 'remove basicauth (basic_auth) or forward_auth',
      haproxy: 'remove http-request auth or deny',
      traefik: 'remove the basicAuth or forwardAuth middleware',
      cloudflare: 'Add a bypass for this host in Access and in the WAF.',
      'ess-server': '--send-tokens FILE and --receive-tokens FILE do this in a way that clients know',
    },
  },
  'request-refused': {
    words: 'Something in front of the server lets only some requests through, and clients make others too.',
    mend: {
      you: 'Let GET, HEAD, POST, PUT, DELETE and OPTIONS through, with any path and query:',
      nginx: 'remove limit_except, and what returns a status for a path, a method or a query',
      apache: 'remove LimitExcept and Require method',
      caddy: 'remove respond and error for a path, a method or a query',
      haproxy: 'remove http-request deny',
      traefik: 'Host(`NAME`) alone as the rule of the router',
      cloudflare: 'Add a bypass for this host in the WAF.',
    },
  },
  'proxy-limits': {
    words:
      'The proxy limits how many requests or connections a client may have. A transfer needs several at once, and the doctor some forty.',
    mend: {
      you: 'Raise the limit, or leave it to ess-server, which has limits for each client:',
      nginx: 'remove limit_req and limit_conn',
      apache: 'remove mod_ratelimit, mod_qos and mod_evasive here',
      caddy: 'remove rate_limit',
      haproxy: 'remove http-request deny and reject by sc_http_req_rate or sc_conn_cur',
      traefik: 'remove the rateLimit and inFlightReq middlewares',
      cloudflare: 'Add an exception for this host to the rate limiting rules.',
    },
  },
  'servers-many': {
    words:
      'Requests reach different servers, and a link is known only to the one that gave it. Both sides of a transfer have to reach the same one.',
    mend: {
      you: 'Put one ess-server behind this name, or give each one a name of its own:',
      nginx: 'upstream ess { server 127.0.0.1:9000; }',
      apache: 'ProxyPass / http://127.0.0.1:9000/ flushpackets=on (and no balancer)',
      caddy: 'reverse_proxy 127.0.0.1:9000',
      haproxy: 'server one 127.0.0.1:9000',
      traefik: 'loadBalancer.servers: - url: http://127.0.0.1:9000',
      cloudflare: 'One origin, and no load balancing.',
    },
  },
  'referer-wanted': {
    words: 'The server lets only one web page reserve links, so programs such as ess can send nothing.',
    mend: { 'ess-server': 'leave out --required-referer' },
  },
  stopping: {
    words: 'The server is stopping, and takes no new transfers.',
    mend: { you: 'Start it again.' },
  },
  limited: {
    words: 'The server has no place for this client now.',
    mend: {
      you: 'Wait, and try again.',
      'ess-server':
        '--trust-proxy with the address of the proxy, so that not all clients behind it count as one',
    },
  },
  'version-other': {
    words: 'Client and server work best in the same version.',
    mend: { you: 'Install the version of the server, or bring the server to yours.' },
  },
  'clock-off': {
    words:
      'The clocks of the two machines differ, so one of them is wrong: certificates and times to live go by them.',
    mend: { you: 'On both: timedatectl set-ntp true' },
  },
  'http-1.0': {
    words: 'The proxy speaks HTTP/1.0 to the server, in which a broken transfer looks like a whole one.',
    mend: {
      nginx: 'proxy_http_version 1.1;',
      apache: 'remove "SetEnv force-proxy-request-1.0" and "proxy-nokeepalive"',
    },
  },
  'errors-replaced': {
    words: "The proxy puts pages of its own in place of the server's refusals, so clients can't read why.",
    mend: {
      nginx: 'proxy_intercept_errors off;',
      apache: 'ProxyErrorOverride Off',
      caddy: 'remove handle_response and handle_errors',
      haproxy: 'remove http-response return and errorfile',
      traefik: 'remove the errors middleware',
      cloudflare: 'remove custom errors for this host',
    },
  },
  'token-missing': {
    words: 'The server wants a token.',
    mend: { you: 'Set ESS_TOKEN, or name its file with --token-file FILE; the operator has it.' },
  },
  'token-wrong': {
    words: 'The server does not know this token.',
    mend: {
      you: 'Ask the operator for another one.',
      nginx: 'proxy_set_header Authorization $http_authorization;',
    },
  },
  'http2-broken': {
    words: 'HTTP/2 is offered, and does not work. Browsers and curl choose it, and fail.',
    mend: {
      haproxy: 'bind :443 ssl crt FILE alpn http/1.1',
      nginx: 'http2 off;',
      apache: 'Protocols http/1.1',
      caddy: 'servers { protocols h1 }',
      traefik: 'tls.options.default.alpnProtocols: [http/1.1]',
      cloudflare: NO_CLOUD,
    },
  },
  'http2-lengths': {
    words:
      'By HTTP/2, the proxy passes an upload of unknown length on in a way in which other proxies lose a part of it.',
    mend: {
      you: 'Until it is mended: curl --http1.1',
      caddy: 'servers { protocols h1 }',
      traefik: 'tls.options.default.alpnProtocols: [http/1.1]',
      nginx: 'http2 off;',
      apache: 'Protocols http/1.1',
      haproxy: 'mode tcp, with alpn http/1.1',
      cloudflare: NO_CLOUD,
    },
  },
  'no-early-response': {
    words:
      "Something on the way lets no answer through before it has the whole body. Then a sender can't be told its link in time.",
    mend: {
      nginx: 'proxy_request_buffering off;',
      caddy: 'remove request_buffers (buffer_requests)',
      haproxy: 'remove option http-buffer-request',
      traefik: 'remove the buffering middleware',
      cloudflare: NO_CLOUD,
      'ess-server': RESERVE,
    },
  },
  'body-stops': {
    words: 'The proxy stops passing the body on once the answer has begun, so long transfers hang.',
    mend: { 'ess-server': RESERVE },
  },
  'expect-swallowed': {
    words:
      'The proxy keeps the header "Expect: 100-continue" to itself. Proxies that do may lose part of an upload of unknown length, so the server refuses those.',
    mend: {
      'ess-server': `${RESERVE} (or --proxy-full-duplex, for a proxy that passes both directions at the same time)`,
    },
  },
  'no-reservations': {
    words: 'No answer can come before the body, and no reservation comes through: so nothing can be sent.',
    mend: {
      you: 'Let the proxy pass /reserve and all below /uploads/.',
      'ess-server': RESERVE,
    },
  },
  'request-buffered': {
    words:
      'The proxy keeps the whole upload before it passes anything on. Large files fill its disk, and the receiver waits.',
    mend: {
      nginx: 'proxy_request_buffering off; proxy_http_version 1.1;',
      apache: 'SetEnv proxy-sendchunked 1',
      caddy: 'remove request_buffers (buffer_requests)',
      haproxy: 'remove option http-buffer-request',
      traefik: 'remove the buffering middleware',
      cloudflare: NO_CLOUD,
    },
  },
  'response-buffered': {
    words: 'The proxy keeps the answer back, so a sender reads its link late, and "delivered" too early.',
    mend: {
      nginx: 'proxy_buffering off; (and no proxy_ignore_headers X-Accel-Buffering)',
      apache: 'ProxyPass / http://127.0.0.1:9000/ flushpackets=on',
      caddy: 'flush_interval -1',
      haproxy: 'remove filter compression and http-response wait-for-body',
      traefik: 'remove the buffering and compress middlewares',
      cloudflare: NO_CLOUD,
    },
  },
  'both-buffered': {
    words: 'The proxy keeps back uploads, answers, or both: from outside, they look the same.',
    mend: {
      nginx:
        'proxy_request_buffering off; proxy_buffering off; proxy_http_version 1.1; (each nginx on the way, and no proxy_ignore_headers X-Accel-Buffering)',
      apache: 'SetEnv proxy-sendchunked 1, and ProxyPass / http://127.0.0.1:9000/ flushpackets=on',
      caddy: 'flush_interval -1, and no request_buffers (buffer_requests)',
      haproxy: 'remove option http-buffer-request, filter compression and http-response wait-for-body',
      traefik: 'remove the buffering and compress middlewares',
      cloudflare: NO_CLOUD,
    },
  },
  compressed: {
    words: 'The proxy compresses downloads, so their length is lost and bytes wait in its buffers.',
    mend: {
      nginx: 'gzip off;',
      apache: 'SetEnv no-gzip 1',
      caddy: 'remove encode',
      haproxy: 'remove filter compression',
      traefik: 'remove the compress middleware',
      cloudflare: NO_CLOUD,
    },
  },
  'cuts-hidden': {
    words:
      'The proxy ends a broken download as if it were whole. A receiver such as curl then keeps a short file, and reports success.',
    mend: {
      caddy: 'Caddy 2.7.6 or later (Debian 12 has 2.6, which does this)',
      'ess-server': '--reservations --proxy-hides-cuts',
    },
  },
  'cuts-passed': {
    words: 'The server is told that a proxy hides cuts, and this one does not.',
    mend: { 'ess-server': 'leave out --proxy-hides-cuts' },
  },
  'leaving-hidden': {
    words:
      'The proxy does not tell the server that a receiver has left, so a sender learns of it late or never.',
    mend: {
      nginx: 'proxy_ignore_client_abort off; proxy_buffering off;',
      apache: 'ProxyPass / http://127.0.0.1:9000/ flushpackets=on',
      haproxy: 'mode tcp',
      caddy: 'flush_interval -1',
    },
  },
  'whole-told-failed': {
    words: 'A download that came whole was reported to its sender as failed.',
    mend: { haproxy: 'mode tcp' },
  },
  'transfer-broken': {
    words: 'A small transfer through this server did not come through.',
    mend: { you: 'Try the server without the proxy: ess doctor http://127.0.0.1:9000 on its own machine.' },
  },
  'haproxy-http': {
    words: 'haproxy in mode http may tell a sender that its receiver was lost when the file has arrived.',
    mend: { haproxy: 'mode tcp' },
  },
  'body-limit': {
    words: 'The proxy limits the size of an upload, below what the server takes.',
    mend: {
      nginx: 'client_max_body_size 0;',
      apache: 'LimitRequestBody 0',
      caddy: 'remove request_body { max_size ... }',
      haproxy: 'remove http-request deny if { req.body_size gt ... } or by Content-Length',
      traefik: LIMIT_TRAEFIK,
      cloudflare:
        'The limit is that of the plan (100 MB on the free one). Set the DNS record to "DNS only" (the grey cloud).',
    },
  },
  'ranges-changed': {
    words: 'A cache or slicer in front answers a request for a part by itself, and uses the link up.',
    mend: {
      nginx: 'proxy_cache off; proxy_set_header Range $http_range;',
      apache: 'CacheDisable /',
      haproxy: 'remove http-request cache-use',
      cloudflare: 'Add a cache rule: bypass for this host.',
      caddy: 'remove the cache module',
      traefik: 'remove the plugin that caches',
    },
  },
  'link-http': {
    words:
      'The links say http:// though the server was reached by https://: it does not know of the TLS in front.',
    mend: {
      nginx: WITH_HOST,
      haproxy: 'http-request set-header X-Forwarded-Proto https (in mode tcp, only --base-url helps)',
      apache: 'RequestHeader set X-Forwarded-Proto https',
      traefik: 'forwardedHeaders.trustedIPs, if another proxy is in front of it',
      'ess-server': NEW_BASE,
    },
  },
  'link-elsewhere': {
    words: 'The links name another host, port or path, and do not lead back to this server.',
    mend: {
      nginx: WITH_HOST,
      apache: 'ProxyPreserveHost On',
      caddy: 'remove header_up Host',
      haproxy: 'remove http-request set-header Host',
      traefik: 'loadBalancer.passHostHeader: true',
      'ess-server': NEW_BASE,
    },
  },
  'idle-cut': {
    words: 'A connection on which nothing moves is cut before the link expires.',
    mend: {
      nginx: 'proxy_read_timeout 15m; proxy_send_timeout 15m; client_body_timeout 15m; send_timeout 15m;',
      haproxy:
        'timeout client 15m; timeout server 15m (a line each; in mode tcp, fewer seconds of --heartbeat help too)',
      apache: 'Timeout 900 and ProxyTimeout 900',
      caddy: 'no read_body and write in servers { timeouts { ... } }',
      traefik: 'respondingTimeouts.readTimeout: 0 and idleTimeout: 0 of the entry point',
      cloudflare: NO_CLOUD,
    },
  },
} as const satisfies Readonly<Record<string, Cause>>

export type CauseName = keyof typeof CAUSES
