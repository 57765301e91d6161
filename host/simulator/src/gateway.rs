pub(crate) const AUTH_FAILED: &str = r#"{"requestid":"ED203550-7C0E-7B0A-9B2A-0D9F6E4A1C11","code":"authFailed","message":"鉴权失败"}"#;
