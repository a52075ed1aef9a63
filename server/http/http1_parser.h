// Reads one HTTP/1.1 request, with Beast's parser, into a Request. Internal to http1_session.cc.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "server/http/handler.h"

namespace tidemark::http {

// Stores only the headers that a Request has; no allocation for others.
class Http1Parser final : public boost::beast::http::basic_parser<true> {
 public:
  Http1Parser(const Handler& handler, uint32_t max_header_bytes)
      : handler_(handler), max_header_bytes_(max_header_bytes) {
    // Beast's own limits end before this layer's rules can be asked.
    body_limit(boost::none);
    header_limit(max_header_bytes);
    eager(true);
  }

  Request request;
  bool expects_continue = false;

  bool head() const { return request.method == "HEAD"; }
  bool http11() const { return version_ == 11; }
  uint64_t body_limit_bytes() const { return limit_; }
  // The layer's own reason to refuse, if `put` gave an error: 0 means that it was Beast's.
  int refusal() const { return refusal_; }

 private:
  using Code = boost::beast::error_code;
  using View = boost::beast::string_view;
  static std::string_view view(View v) { return {v.data(), v.size()}; }

  void refuse(int status, Code& code) {
    refusal_ = status;
    code = boost::beast::http::error::bad_value;
  }

  void on_request_impl(boost::beast::http::verb, View method, View target, int version, Code& code) override {
    version_ = version;
    request.method.assign(method.data(), method.size());
    std::string_view path = view(target);
    header_bytes_ += method.size() + path.size();
    if (const size_t scheme = path.find("://"); scheme != std::string_view::npos && !path.starts_with('/')) {
      // The absolute form (RFC 9112, 3.2.2); its authority takes the place of Host.
      path.remove_prefix(scheme + 3);
      const size_t end = std::min(path.find_first_of("/?"), path.size());
      request.host.assign(path.substr(0, end));
      absolute_ = true;
      path.remove_prefix(end);
      if (path.empty()) path = "/";
    }
    const size_t mark = path.find('?');
    request.path.assign(path.substr(0, mark));
    if (mark != std::string_view::npos) request.query.assign(path.substr(mark + 1));
    if (!request.path.starts_with('/')) refuse(400, code);
  }

  void on_field_impl(boost::beast::http::field name, View name_view, View value_view, Code& code) override {
    header_bytes_ += name_view.size() + value_view.size() + 4;
    if (header_bytes_ > max_header_bytes_) return refuse(431, code);
    if (is_header_done()) return;  // a trailer
    const std::string_view value = view(value_view);
    const auto set_if_empty = [&](std::string& to) {
      if (to.empty()) to.assign(value);
    };
    using boost::beast::http::field;
    switch (name) {
      case field::host:
        if (hosts_++ > 0) return refuse(400, code);
        if (!absolute_) request.host.assign(value);
        return;
      case field::authorization:
        return set_if_empty(request.authorization);
      case field::transfer_encoding:
        transfer_encoding_ = true;
        return;
      case field::expect:
        if (!boost::beast::iequals(value_view, "100-continue")) return refuse(417, code);
        expects_continue = true;
        return;
      default:
        break;
    }
    if (boost::beast::iequals(name_view, "x-denokv-version")) {
      set_if_empty(request.protocol_version);
    } else if (boost::beast::iequals(name_view, "x-denokv-database-id")) {
      request.database_id.assign(value);
    } else if (boost::beast::iequals(name_view, "x-transaction-domain-id")) {
      set_if_empty(request.database_id);
    }
  }

  void on_header_impl(Code& code) override {
    if (http11() && hosts_ == 0) return refuse(400, code);
    // Anything but chunked could not be told from the next request.
    if (transfer_encoding_ && (!chunked() || !http11())) return refuse(400, code);
    limit_ = handler_.max_body_bytes(request.method, request.path);
    if (const auto length = content_length(); length && *length > limit_) return refuse(413, code);
  }

  void on_body_init_impl(const boost::optional<uint64_t>&, Code&) override {}

  size_t append(View bytes, Code& code) {
    if (request.body.size() + bytes.size() > limit_) {
      refuse(413, code);
      return 0;
    }
    request.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  size_t on_body_impl(View bytes, Code& code) override { return append(bytes, code); }
  void on_chunk_header_impl(uint64_t size, View, Code& code) override {
    if (size > limit_ || request.body.size() + size > limit_) refuse(413, code);
  }
  size_t on_chunk_body_impl(uint64_t, View bytes, Code& code) override { return append(bytes, code); }
  void on_finish_impl(Code&) override {}

  // Beast asks for it; a request parser never calls it.
  void on_response_impl(int, View, int, Code&) override {}

  const Handler& handler_;
  const uint32_t max_header_bytes_;
  int version_ = 11;
  int refusal_ = 0;
  int hosts_ = 0;
  bool absolute_ = false;
  bool transfer_encoding_ = false;
  size_t header_bytes_ = 0;
  uint64_t limit_ = 0;
};

}  // namespace tidemark::http
