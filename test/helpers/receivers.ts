import { fileURLToPath } from 'node:url'

/** A program that downloads a URL into a file, as its own users would have it do that. */
export interface Receiver {
  readonly name: string
  /** What is started; found by the PATH. */
  readonly program: string
  /** True where a child of its own reads the connection: killing the program kills nothing that reads. */
  readonly isReadByChild?: true
  readonly args: (url: string, path: string) => readonly string[]
  /** The version that it speaks over TLS, 1.1 where it is not said. */
  readonly version?: 2
}

const ESS = fileURLToPath(new URL('../../dist/ess/ess.cjs', import.meta.url))

const URLLIB = `
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as response, open(sys.argv[2], 'wb') as file:
    shutil.copyfileobj(response, file)`

const NODE_FETCH = `
fetch(process.argv[1]).then(async (response) => {
  if (!response.ok) throw new Error(response.status)
  require('node:fs').writeFileSync(process.argv[2], Buffer.from(await response.arrayBuffer()))
})`

const NODE_HTTP = `
const [, url, path] = process.argv
require(url.startsWith('https') ? 'node:https' : 'node:http').get(url, (response) => {
  require('node:stream').pipeline(response, require('node:fs').createWriteStream(path), (error) => {
    if (error) throw error
  })
})`

const PHP = `
$context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
exit(copy($argv[1], $argv[2], $context) ? 0 : 1);`

const RUBY = `
uri = URI(ARGV[0])
tls = { use_ssl: uri.scheme == 'https', verify_mode: OpenSSL::SSL::VERIFY_NONE }
Net::HTTP.start(uri.host, uri.port, **tls) do |http|
  http.request(Net::HTTP::Get.new(uri)) do |response|
    response.value
    File.open(ARGV[1], 'wb') { |file| response.read_body { |bytes| file.write(bytes) } }
  end
end`

/** Those that close with the last byte, and those that read to the end of the connection. */
export const RECEIVERS: readonly Receiver[] = [
  { name: 'curl', program: 'curl', args: (url, path) => ['-qsSfk', '--http1.1', '-o', path, url] },
  { name: 'curl by HTTP/2', program: 'curl', args: (url, path) => ['-qsSfk', '-o', path, url], version: 2 },
  {
    name: 'wget',
    program: 'wget',
    args: (url, path) => ['--no-config', '-q', '-t', '1', '--no-check-certificate', '-O', path, url],
  },
  {
    name: 'wget2 by HTTP/2',
    program: 'wget2',
    args: (url, path) => [
      ...['--no-config', '-q', '--tries', '1', '--no-check-certificate', '--header', 'Accept: */*'],
      ...['-O', path, url],
    ],
    version: 2,
  },
  { name: 'urllib', program: 'python3', args: (url, path) => ['-c', URLLIB, url, path] },
  {
    // And with it `requests`.
    name: 'HTTPie',
    program: 'http',
    args: (url, path) => ['--ignore-stdin', '--verify=no', '-d', '-o', path, url],
  },
  { name: 'Node’s fetch', program: process.execPath, args: (url, path) => ['-e', NODE_FETCH, url, path] },
  { name: 'Node’s http', program: process.execPath, args: (url, path) => ['-e', NODE_HTTP, url, path] },
  {
    name: 'aria2',
    program: 'aria2c',
    args: (url, path) => [
      '-q',
      '--no-conf',
      '--check-certificate=false',
      '-d',
      '/',
      '-o',
      path.slice(1),
      url,
    ],
  },
  { name: 'PHP', program: 'php', args: (url, path) => ['-r', PHP, url, path] },
  {
    name: 'Ruby',
    program: 'ruby',
    args: (url, path) => ['-rnet/http', '-ropenssl', '-e', RUBY, url, path],
  },
  {
    name: 'lftp',
    program: 'lftp',
    args: (url, path) => [
      ...['--norc', '-c'],
      `set ssl:verify-certificate no; set net:max-retries 1; set xfer:clobber on; get ${url} -o ${path}`,
    ],
  },
  {
    name: 'busybox',
    program: 'busybox',
    args: (url, path) => ['wget', '-q', '--no-check-certificate', '-O', path, url],
    isReadByChild: true,
  },
  { name: 'ess get', program: process.execPath, args: (url, path) => [ESS, 'get', url, '-o', path] },
]
