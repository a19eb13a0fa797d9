//! What Amazon asks for: the one place with prices.

/// Prices of one region, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prices {
    pub write_units_million: f64,
    pub read_units_million: f64,
    pub storage_gb_month: f64,
    pub backup_gb_month: f64,
    pub bucket_puts_thousand: f64,
    pub bucket_gb_month: f64,
}

impl Prices {
    /// On-demand capacity, Standard table class, and S3 Standard up to 50 TB, us-east-1. Without the free tier (25 GB of storage).
    pub(crate) const US_EAST_1: Self = Self {
        write_units_million: 0.625,
        read_units_million: 0.125,
        storage_gb_month: 0.25,
        backup_gb_month: 0.20,
        bucket_puts_thousand: 0.005,
        bucket_gb_month: 0.023,
    };

    /// Where [`US_EAST_1`](Self::US_EAST_1) is from: the page that has the prices, which differ between regions.
    pub(crate) const SOURCE: &str = "https://aws.amazon.com/dynamodb/pricing/on-demand/ and https://aws.amazon.com/s3/pricing/ (us-east-1, Standard classes)";

    /// When they were last seen to be so: Amazon halved the price of units in November 2024, and the prices were
    /// cited like this in July 2025.
    pub(crate) const AS_OF: &str = "2025-07";
}

/// A month as Amazon bills it: 730 hours.
pub(crate) const DAYS_PER_MONTH: f64 = 730.0 / 24.0;

/// Storage is billed for so much more than each item's own bytes.
pub(crate) const STORAGE_OVERHEAD_BYTES: u64 = 100;

/// A write unit is for each started kilobyte of an item.
pub(crate) const WRITE_UNIT_BYTES: u64 = 1024;

/// A strongly consistent read unit is for each started four kilobytes; half of one reads them eventually consistent.
pub(crate) const READ_UNIT_BYTES: u64 = 4096;

/// Bytes of the gigabyte that storage is billed by.
pub(crate) const GB: f64 = 1_073_741_824.0;
