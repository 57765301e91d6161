pub(crate) const CORP_ID: &str = "ding9f50b15bccd16741";
pub(crate) const UNIFIED_APP_ID: &str = "bbb381b6-f015-4a8e-9f5c-5f5c4e58daac";
