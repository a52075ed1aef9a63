// Certificate and key files: what is wrong with them is said, and a reload changes all or nothing.
#include <gtest/gtest.h>

#include "server/http/tls_context.h"
#include "tests/server/http/certificates.h"
#include "tests/server/http/client.h"

namespace tidemark::http::test {
namespace {

// What a server with these files would say; empty: nothing.
std::string complaint(const CertificateFiles& files) {
  const auto loaded = TlsContext::load(files.chain_path(), files.key_path());
  if (loaded) return "";
  EXPECT_EQ(loaded.error().message.find('\n'), std::string::npos);
  return loaded.error().message;
}

TEST(TlsFiles, WhatIsWrongWithTheCertificate) {
  CertificateFiles files;
  EXPECT_EQ(complaint(files), "");
  const std::string& path = files.chain_path();
  const std::string nothing = path + " holds no certificate in PEM form";
  write_file(path, "");
  EXPECT_EQ(complaint(files), nothing);
  write_file(path, std::string(1000, '\0'));
  EXPECT_EQ(complaint(files), nothing);
  write_file(path, key_pem(make_key()));
  EXPECT_EQ(complaint(files), nothing);
  const std::string good = certificate_pem(make_key(), "a");
  write_file(path, good.substr(0, good.size() / 2));
  EXPECT_TRUE(complaint(files).starts_with(path + " holds a certificate that cannot be read: "))
      << complaint(files);
  std::string damaged = good;
  damaged[good.size() / 2] = '!';
  write_file(path, good + damaged);
  EXPECT_TRUE(complaint(files).starts_with(path + " holds a certificate that cannot be read: "))
      << complaint(files);
  write_file(path, std::string(2 << 20, 'x'));
  EXPECT_NE(complaint(files).find(path), std::string::npos);
  std::remove(path.c_str());
  EXPECT_EQ(complaint(files), "cannot open " + path + ": No such file or directory");
}

TEST(TlsFiles, WhatIsWrongWithTheKey) {
  CertificateFiles files;
  const std::string& path = files.key_path();
  write_file(path, key_pem(make_key(), "secret"));
  EXPECT_EQ(complaint(files), path + " holds an encrypted key; give it without a passphrase");
  write_file(path, "nonsense");
  EXPECT_EQ(complaint(files), path + " holds no private key in PEM form");
  write_file(path, certificate_pem(make_key(), "a"));
  EXPECT_EQ(complaint(files), path + " holds no private key in PEM form");
  const std::string good = key_pem(make_key());
  write_file(path, good.substr(0, good.size() / 2));
  EXPECT_TRUE(complaint(files).starts_with(path + " holds a private key that cannot be read: "))
      << complaint(files);
  for (const TestKey& other : {make_key(), make_rsa_key(2048)}) {
    write_file(path, key_pem(other));
    EXPECT_EQ(complaint(files),
              path + " holds a key that does not match the (first) certificate in " + files.chain_path());
  }
  const TestKey weak = make_rsa_key(512);
  write_file(path, key_pem(weak));
  write_file(files.chain_path(), certificate_pem(weak, "a"));
  EXPECT_TRUE(
      complaint(files).starts_with(files.chain_path() + " holds a certificate that OpenSSL refuses: "))
      << complaint(files);
  std::remove(path.c_str());
  EXPECT_EQ(complaint(files), "cannot open " + path + ": No such file or directory");
}

TEST(TlsFiles, OtherFormsThatWork) {
  CertificateFiles files;
  const TestKey key = make_rsa_key(2048);
  // Text around it, and both in one file.
  const std::string both = "A certificate\n" + certificate_pem(key, "a") + "\nIts key\n" + key_pem(key);
  write_file(files.chain_path(), both);
  write_file(files.key_path(), both);
  EXPECT_EQ(complaint(files), "");
}

TEST(TlsFiles, AChainIsShownWhole) {
  CertificateFiles files;
  const TestKey root = make_key(), middle = make_key(), own = make_key();
  write_file(files.chain_path(),
             certificate_pem(own, "own", middle, "middle") + certificate_pem(middle, "middle", root, "root"));
  write_file(files.key_path(), key_pem(own));
  Server server(files.options());
  RawClient client(server.port());
  ASSERT_TRUE(client.start_tls());
  EXPECT_EQ(client.tls().certificate_name(), "own");
  EXPECT_EQ(client.tls().chain_length(), 2u);
}

// Cut off anywhere, a chain is refused, but where what is left is whole: it must not be shown without its
// end.
TEST(TlsFiles, AChainThatIsCutOff) {
  CertificateFiles files;
  const TestKey root = make_key(), middle = make_key(), own = make_key();
  const std::string first = certificate_pem(own, "own", middle, "middle");
  const std::string chain = first + certificate_pem(middle, "middle", root, "root");
  write_file(files.key_path(), key_pem(own));
  const auto end_of = [](const std::string& text) { return text.find_last_not_of('\n') + 1; };
  for (size_t size = 0; size <= chain.size(); ++size) {
    write_file(files.chain_path(), chain.substr(0, size));
    const bool whole = (size >= end_of(first) && size <= first.size()) || size >= end_of(chain);
    ASSERT_EQ(complaint(files).empty(), whole) << "after " << size << " bytes: " << complaint(files);
  }
}

TEST(TlsFiles, AServerWithBadOnesDoesNotStart) {
  CertificateFiles files;
  write_file(files.key_path(), key_pem(make_key()));
  TestHandler handler;
  const auto created = Listener::create(files.options(), handler);
  ASSERT_FALSE(created.has_value());
  EXPECT_NE(created.error().message.find("does not match"), std::string::npos);
}

std::string name_shown(const Server& server) {
  RawClient client(server.port());
  EXPECT_TRUE(client.start_tls());
  return client.tls().certificate_name();
}

TEST(TlsFiles, ReloadWhileServing) {
  CertificateFiles files("old");
  Server server(files.options());
  RawClient one(server.port());
  ASSERT_TRUE(one.start_tls());
  H2Client two(server.port(), {.tls = true});
  ASSERT_EQ(two.ask({.path = "/a"}).status, 200);

  files.renew("new");
  EXPECT_EQ(name_shown(server), "old");  // nobody has said so yet
  const Status reloaded = server.listener->reload_tls();
  ASSERT_TRUE(reloaded.has_value()) << reloaded.error().message;
  EXPECT_EQ(name_shown(server), "new");
  // Open ones go on.
  EXPECT_EQ(one.tls().certificate_name(), "old");
  one.send("GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(one.receive_until("GET /b "));
  EXPECT_EQ(two.ask({.path = "/c"}).body, "POST /c ");

  write_file(files.key_path(), key_pem(make_key()));
  const Status failed = server.listener->reload_tls();
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().message.find(files.key_path()), std::string::npos);
  EXPECT_EQ(name_shown(server), "new");
  std::remove(files.chain_path().c_str());
  EXPECT_FALSE(server.listener->reload_tls().has_value());
  EXPECT_EQ(name_shown(server), "new");
  files.renew("third");
  EXPECT_TRUE(server.listener->reload_tls().has_value());
  EXPECT_EQ(name_shown(server), "third");
}

}  // namespace
}  // namespace tidemark::http::test
