use serde_json::json;

use super::*;

const SECRET: &str = "b5f0c7e2a94d1836b5f0c7e2a94d1836";
const NOW: Millis = Millis(1_800_000_000_000);
/// Tokens of `anna` with 50 years to live: of `@auth/core` 0.41.3 for a cookie without and with the prefix, and with
/// issuer and audience; and of `next-auth` 4.24.15, valid and expired.
const V5: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIiwia2lkIjoid1F4ang2Z3NSOEMwTGJjTUFtNW5UY1RYTXE0dVdJa0hzcV9UWGs0eDBELVlGQm1EY2JDWUVFaVJXdVpJMGNfMGRFYllQbHNsV3RFZ3loMWxhcFJrY2cifQ..W_E4GfrT9lXPYwUr8nDRGQ.KFg6Z3yuq6yfo48o2Q3mJu1jM9jZSl9krbVXMm72YX6nWNNZwhPP2f-50uDyeHcodA5rpa_tuI8jWIQCVlU2QIdgDizF_H_y55ORotLXjUrxxelRzVuBlfAACcalswtQF0RnDIqIc7lHAjY31eiaU-xqeSwO6cgMoTUhOrYLzFRFfRGQ2xXTkBJ7DZJEPXZY.8fMCJCud2wfNWIHTZGxIPEBrL59gIV4XPjjaQab7VM0";
const V5_SECURE: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIiwia2lkIjoiclNxODI0ZldGYXhqb01XeU5Na2pmdy1fZXk4cThwNWtfUDJpamg0LTVYc0lGZVNJaE1nS1dFTHlSZ0hTY3dJS01rNEJWd2laOVJsMlhvaWtoU2NBREEifQ..AOW63dBKtwnPB7uIJaYIOw.KWMpnd8QDknXZDul3mUnrqmHkSVbjxH4OTmdgb4JJdJWoY2Yw39dh_BvXHVfWdCguKmgrWM_vkeLRXaB5a8NeEaVRm18ckED-KnfkmlfIk_1tR2tqlH0DfGNRCyMVC4nwBKWxInRrYHDJI5iAkGlEU73M9tNHp6if0Zx6tVWCEag2lbaNuhcQpgvx_V3wTgA.EtBzf-0uT15h0pDDln6OVR2LIRu0KLcawYMgnVLSP0c";
const V5_ISSUED: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIiwia2lkIjoid1F4ang2Z3NSOEMwTGJjTUFtNW5UY1RYTXE0dVdJa0hzcV9UWGs0eDBELVlGQm1EY2JDWUVFaVJXdVpJMGNfMGRFYllQbHNsV3RFZ3loMWxhcFJrY2cifQ..5hZ9cPlNKwjfrZxZkx_b1g.wTOf2Q1fyh4OEttlgrghQfGY4BkBi7lYv6X_xRE2DbK3uvrB76YY4pIPajXrs80farm8TlPP-uorWHBYjhrpgGfpZ1O_EM_Ns8uxus1FH9dyYyhHmM_6VZtN-ITU4R1rbwPY3QTq0hYVlbU-3NKSvsXjqg-blmUR2rP7aSqNcG3xme3ZD_HyXYfY7DQma8Momwpbsz24fR6d1qm0CN5EflnmguNDpF7MCkSz0sRMLgw.cAY2pwum5P8DvQO8k34lL0VE3fofczm542iXcn9_zu4";
const V4: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..pKthQHYhDBgiIKD2.aR38YNkCBKcAOewTQl9jTC5-JxAAFFwAv59sH_ZvAztGZkDGZDRc0uPPPmm3tVNvd04ykPDuRe7RQ6-S8Z9UVC5AR3GNj67yUcEpIVpLTDWqq6mR7q3RFDz0T08hfEMCaMbMcP-FoWCB2BPFMrvFLKXje4yxRooJulpakGoFSvo5vUy1ySE.tzmATQu1e_gFFNtwSWTe6Q";
const V4_EXPIRED: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..lOHo67RpZ8kNKWFm.QGBkA0UeL2oO3FIAmsHO7fd-gLZMiS6ibIIpfInrP09IWL-uVFX6x4kzIZpRouSkcR6XxH_G83mWHWg8WfDYS-GOrbafvSb7gsTw2Bxk5q2SqiOd3Bn8yyucYTUAgrpmDzkCNJ8-x0Gxtv7fi6_RevOx9Y0UdnBL9skVeXprkqboLNzWSQI.OH-SbuebKsKwUkAFTMmB0g";

fn key() -> AuthjsKey {
    AuthjsKey { secret: SECRET.to_owned(), issuer: None, audience: None }
}

fn cookie(name: &str, value: &str) -> SessionCookie {
    SessionCookie { name: name.to_owned(), value: value.to_owned() }
}

fn user(name: &str, value: &str) -> Option<String> {
    let verified = key().verify(&cookie(name, value), NOW).ok()?;
    assert!(verified.expires_at > NOW);
    Some(verified.claims["sub"].as_str().unwrap().to_owned())
}

/// A token like those of NextAuth 4, with this header and text.
fn sealed(header: &Json, text: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let key: [u8; 32] = derive(SECRET.as_bytes(), "", "NextAuth.js Generated Encryption Key").unwrap();
    let payload = Payload { msg: text.as_bytes(), aad: header.as_bytes() };
    let iv = [7; GCM_IV_BYTES];
    let message = Aes256Gcm::new_from_slice(&key).unwrap().encrypt(&iv.into(), payload).unwrap();
    let (ciphertext, tag) = message.split_at(message.len() - GCM_TAG_BYTES);
    let encoded = [&iv[..], ciphertext, tag].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    format!("{header}..{}", encoded.join("."))
}

fn gcm() -> Json {
    json!({ "alg": "dir", "enc": "A256GCM" })
}

#[test]
fn cookies_of_both_libraries_are_decrypted() {
    for (name, value) in [
        ("authjs.session-token", V5),
        ("__Secure-authjs.session-token", V5_SECURE),
        ("authjs.session-token", V5_ISSUED),
        ("next-auth.session-token", V4),
        ("__Secure-next-auth.session-token", V4),
    ] {
        assert_eq!(user(name, value).as_deref(), Some("anna"), "{name}");
    }
}

#[test]
fn token_of_another_cookie_name_is_refused() {
    assert_eq!(user("__Secure-authjs.session-token", V5), None);
    assert_eq!(user("authjs.session-token", V5_SECURE), None);
    let other = AuthjsKey { secret: SECRET.replace('b', "c"), ..key() };
    for (name, value) in [("authjs.session-token", V5), ("next-auth.session-token", V4)] {
        assert!(other.verify(&cookie(name, value), NOW).is_err(), "{name}");
    }
}

#[test]
fn every_changed_part_is_refused() {
    for (name, token) in [("authjs.session-token", V5), ("next-auth.session-token", V4)] {
        let parts: Vec<&str> = token.split('.').collect();
        for changed in [0, 2, 3, 4] {
            let mut bytes = URL_SAFE_NO_PAD.decode(parts[changed]).unwrap();
            for at in [0, bytes.len() / 2, bytes.len() - 1] {
                bytes[at] ^= 1;
                let encoded = URL_SAFE_NO_PAD.encode(&bytes);
                let mut forged = parts.clone();
                forged[changed] = &encoded;
                assert_eq!(user(name, &forged.join(".")), None, "part {changed}, byte {at}");
                bytes[at] ^= 1;
            }
            let mut short = parts.clone();
            short[changed] = "";
            assert_eq!(user(name, &short.join(".")), None, "part {changed} is empty");
            // A truncated tag must not match the beginning of the right one.
            let truncated = URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]);
            let mut short = parts.clone();
            short[changed] = &truncated;
            assert_eq!(user(name, &short.join(".")), None, "part {changed} is truncated");
        }
    }
}

#[test]
fn other_forms_of_tokens_are_refused() {
    let claims = json!({ "sub": "anna", "exp": 4_000_000_000_i64 }).to_string();
    assert_eq!(user("a", &sealed(&gcm(), &claims)).as_deref(), Some("anna"));
    for header in [
        json!({ "alg": "A256KW", "enc": "A256GCM" }),
        json!({ "alg": "dir", "enc": "A128GCM" }),
        json!({ "alg": "dir", "enc": "A256CBC-HS512" }),
        json!({ "alg": "dir", "enc": "A256GCM", "zip": "DEF" }),
        json!({ "alg": "dir", "enc": "A256GCM", "crit": ["exp"] }),
        json!({ "alg": "dir" }),
        json!([]),
    ] {
        assert_eq!(user("a", &sealed(&header, &claims)), None, "{header}");
    }
    let valid = sealed(&gcm(), &claims);
    for wrong in [
        String::new(),
        "a.b.c".to_owned(),
        format!("{valid}."),
        format!("{valid}="),
        valid.replace("..", ".a."),
    ] {
        assert_eq!(user("a", &wrong), None, "{wrong}");
    }
}

#[test]
fn token_must_have_an_expiry_in_the_future() {
    assert_eq!(user("next-auth.session-token", V4_EXPIRED), None);
    let now = NOW.0 / 1000;
    for (claims, is_valid) in [
        (json!({ "sub": "anna", "exp": now + 1 }), true),
        (json!({ "sub": "anna", "exp": now - 4 }), true),
        (json!({ "sub": "anna", "exp": now - 5 }), false),
        (json!({ "sub": "anna" }), false),
        (json!({ "sub": "anna", "exp": null }), false),
        (json!({ "sub": "anna", "exp": "4000000000" }), false),
        (json!({ "sub": "anna", "exp": now + 60, "nbf": now + 4 }), true),
        (json!({ "sub": "anna", "exp": now + 60, "nbf": now + 6 }), false),
        (json!(["anna"]), false),
    ] {
        assert_eq!(user("a", &sealed(&gcm(), &claims.to_string())).is_some(), is_valid, "{claims}");
    }
}

#[test]
fn issuer_and_audience_are_checked_if_configured() {
    let verified = |issuer: Option<&str>, audience: Option<&str>, value: &str| {
        let (issuer, audience) = (issuer.map(str::to_owned), audience.map(str::to_owned));
        let key = AuthjsKey { issuer, audience, ..key() };
        key.verify(&cookie("authjs.session-token", value), NOW).is_ok()
    };
    assert!(verified(Some("desk"), Some("wharf"), V5_ISSUED));
    assert!(!verified(Some("shop"), None, V5_ISSUED) && !verified(None, Some("desk"), V5_ISSUED));
    assert!(!verified(Some("desk"), None, V5) && !verified(None, Some("wharf"), V5));
}
