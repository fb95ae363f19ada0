'use strict';
// Reads the answer on a stream of HTTP/2 to its end, for clients that must tell a lost request from one that the server is sure not to
// have touched: `done({ code, refused, whole, status, body })`, once.
const { NGHTTP2_REFUSED_STREAM } = require('http2').constants;

module.exports = function answer(stream, done) {
  let status;
  let body = '';
  let whole = false;
  stream.setEncoding('utf8');
  stream.on('response', (headers) => (status = headers[':status']));
  stream.on('data', (text) => (body += text));
  stream.on('end', () => (whole = true));
  stream.on('error', () => {}); // `close` follows, and tells
  stream.on('close', () => {
    const code = stream.rstCode;
    done({ code, refused: code === NGHTTP2_REFUSED_STREAM, whole, status, body });
  });
};
