//! `2_Dense/`: a linear map with an activation after pooling.

use std::path::Path;

use crate::activation::Activation;
use crate::bert_config::WIDTH_LIMIT;
use crate::error::ModelFileError;
use crate::folder::Folder;
use crate::json::Fields;
use crate::weights::{TensorSpec, Weights};

/// A linear map `y = activation(x W^T + b)` from `in_features` to `out_features`.
///
/// Its weights hold `linear.weight` of shape `[out_features, in_features]` and, if `bias`, `linear.bias` of shape
/// `[out_features]`; both were checked to be there with these shapes.
#[derive(Debug)]
pub struct Dense {
    /// The width of its input; equals the width of the module before it.
    pub in_features: usize,
    /// The width of its output.
    pub out_features: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied after the map.
    pub activation: Activation,
    /// The module's own weights file.
    pub weights: Weights,
}

/// The width in front of a Dense module and the file it is from, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Width<'file> {
    pub(crate) size: usize,
    pub(crate) from: &'file Path,
}

impl Dense {
    /// Reads `config.json` and the weights' header in `inside`, a folder relative to the model folder.
    pub(crate) fn read(folder: &Folder, inside: &Path, before: Width<'_>) -> Result<Self, ModelFileError> {
        let relative = inside.join("config.json");
        let file = folder.path(&relative);
        let Some(json) = folder.read_json(&relative)? else {
            return Err(ModelFileError::MissingFile { file, hint: None });
        };
        let fields = Fields::of_file(&file, &json)?;
        check_names(&fields)?;
        let in_features = fields.required_integer("in_features", 1..=WIDTH_LIMIT)?;
        let out_features = fields.required_integer("out_features", 1..=WIDTH_LIMIT)?;
        if in_features != before.size {
            let expected = format!("{} (the width from {})", before.size, before.from.display());
            return Err(fields.wrong("in_features", expected));
        }
        let bias = fields.boolean("bias")?.unwrap_or(true);
        let activation = activation(&fields)?;

        let weights = Weights::open(folder, inside)?;
        let source = "config.json";
        let mut required =
            vec![TensorSpec { name: "linear.weight".to_owned(), shape: vec![out_features, in_features], source }];
        if bias {
            required.push(TensorSpec { name: "linear.bias".to_owned(), shape: vec![out_features], source });
        }
        weights.select(&[""], &required)?;
        Ok(Self { in_features, out_features, bias, activation, weights })
    }
}

/// Refuses a module that works on something else than the text's vector, or that adds its input to its output.
fn check_names(fields: &Fields<'_>) -> Result<(), ModelFileError> {
    check_sentence_embedding(fields)?;
    if fields.boolean("use_residual")? == Some(true) {
        return Err(fields.wrong("use_residual", "false"));
    }
    Ok(())
}

/// Refuses a module that reads or writes anything but the text's vector.
pub(crate) fn check_sentence_embedding(fields: &Fields<'_>) -> Result<(), ModelFileError> {
    for field in ["module_input_name", "module_output_name"] {
        if fields.string(field)?.is_some_and(|name| name != "sentence_embedding") {
            return Err(fields.wrong(field, "\"sentence_embedding\""));
        }
    }
    Ok(())
}

fn activation(fields: &Fields<'_>) -> Result<Activation, ModelFileError> {
    let expected = "torch.nn.modules.activation.Tanh, ReLU, GELU, Sigmoid or SiLU, or torch.nn.modules.linear.Identity";
    match fields.string("activation_function")? {
        // The default of the reference's `base/modules/dense.py`.
        None if fields.raw("activation_function").is_none() => Ok(Activation::Tanh),
        name => {
            name.and_then(Activation::from_torch_class).ok_or_else(|| fields.wrong("activation_function", expected))
        }
    }
}
