//! Distributions, the same to the last bit on every machine.
//!
//! The platform's own logarithm differs between platforms in its last digit, and one digit is
//! enough to send two runs apart: `libm`'s is plain arithmetic.

use aplomb_core::Rng;

use crate::units::{float, whole};

/// A time with this mean, exponentially distributed.
pub(crate) fn exponential(rng: &mut Rng, mean: u64) -> u64 {
    // 1 - fraction lies in (0, 1], where the logarithm is finite.
    whole(-libm::log(1.0 - rng.fraction()) * float(mean))
}

/// A time with this mean and deviation, normally distributed, its sign dropped.
pub(crate) fn normal(rng: &mut Rng, mean: u64, deviation: u64) -> u64 {
    whole(libm::fabs(float(mean) + standard_normal(rng) * float(deviation)))
}

/// Marsaglia's polar method (SIAM Review 6, 1964): no trigonometry.
fn standard_normal(rng: &mut Rng) -> f64 {
    loop {
        let (x, y) = (2.0 * rng.fraction() - 1.0, 2.0 * rng.fraction() - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * libm::log(square) / square).sqrt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SECOND;

    #[test]
    fn the_exponential_has_its_mean_and_its_deviation() {
        let mut rng = Rng::seeded(1);
        let (mean, deviation) = moments(|| exponential(&mut rng, SECOND));
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((deviation - 1.0).abs() < 0.02, "{deviation}");
    }

    #[test]
    fn the_normal_has_its_mean_and_its_deviation() {
        let mut rng = Rng::seeded(1);
        let (mean, deviation) = moments(|| normal(&mut rng, SECOND, SECOND / 5));
        assert!((mean - 1.0).abs() < 0.003, "{mean}");
        assert!((deviation - 0.2).abs() < 0.003, "{deviation}");
    }

    fn moments(draw: impl FnMut() -> u64) -> (f64, f64) {
        let drawn: Vec<f64> =
            std::iter::repeat_with(draw).take(100_000).map(crate::units::seconds).collect();
        let mean = drawn.iter().sum::<f64>() / 100_000.0;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 100_000.0;
        (mean, variance.sqrt())
    }
}
